# A stack that makes what it hands to the module itself: at the first plan, no ARN of it is known. And a secret.

variable "token" {
  type      = string
  default   = "secret"
  sensitive = true
}

resource "aws_lambda_function" "greeter" {
  function_name = "greeter"
  role          = "arn:aws:iam::123456789012:role/greeter"
  filename      = "tests/package.zip"
}

resource "aws_sqs_queue" "events" {}

resource "aws_kms_key" "this" {}

resource "aws_acm_certificate" "this" {
  domain_name = "ws.example.com"
}

resource "aws_route53_zone" "this" {
  name = "example.com"
}

module "websocket" {
  source = "../.."

  name             = "chat"
  functions        = { greet = { arn = aws_lambda_function.greeter.arn }, built = { zip = { path = aws_sqs_queue.events.url, hash = aws_sqs_queue.events.url } }, f = { package = "tests/package.zip", failure_destination = aws_sqs_queue.events, history = ["read", "write"] } }
  routes           = { "$connect" = { function = "greet" }, "$default" = { function = "f" }, track = { queue = { arn = aws_sqs_queue.events.arn, kms_key = aws_kms_key.this } }, built = { function = "built" }, where = { mock = jsonencode({ url = aws_sqs_queue.events.url }) }, pass = { http = { url = "https://example.com", headers = { Authorization = "'${var.token}'" } } } }
  authorizer       = { function = "greet" }
  connection_table = { kms_key = aws_kms_key.this }
  history          = { kms_key = aws_kms_key.this }
  domain           = { name = "ws.example.com", hosted_zone = aws_route53_zone.this, certificate = aws_acm_certificate.this }
  logging          = { kms_key = aws_kms_key.this }
  alarms           = { actions = [aws_sqs_queue.events.arn], client_errors = null }
}

output "stage" {
  value = module.websocket.stage
}
