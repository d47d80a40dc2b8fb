# The publisher and its API in one stack, each of which names the other, with what the stack makes itself: at the first
# plan, no ARN of it is known.

resource "aws_kms_key" "this" {}

resource "aws_cloudwatch_event_rule" "orders" {
  event_pattern = jsonencode({ source = ["shop"] })
}

module "publisher" {
  source = "../.."

  name      = "updates"
  package   = "tests/package.zip"
  websocket = module.websocket
  senders   = [aws_cloudwatch_event_rule.orders]
  queue     = { kms_key = aws_kms_key.this }
  logging   = { kms_key = aws_kms_key.this }
}

module "websocket" {
  source = "../../../websocket-api"

  name    = "updates"
  metrics = true

  functions = {
    send = {
      package            = "tests/package.zip"
      connections        = ["read", "delete"]
      manage_connections = ["POST"]
      policy_statements  = module.publisher.delivery_statements
      environment        = { DELIVERY_QUEUE_URL = module.publisher.delivery_queue_url }
    }
  }

  routes = { send = { function = "send" } }
}

output "functions" {
  value = [module.websocket.functions["send"].name, module.publisher.function.name]
}
