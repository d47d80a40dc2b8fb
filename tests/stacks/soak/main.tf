# The functions of the chat backend under load: the queue's records come back a minute after a function that held them died.

terraform {
  required_version = ">= 1.9"
}

module "websocket" {
  source = "../../../modules/websocket-api"

  name       = "soak"
  history    = { messages = 1000 }
  throttling = { rate_limit = 10000, burst_limit = 5000 }

  functions = {
    connect = { package = "${local.packages}/connect/bootstrap.zip", connections = ["write"] }
    disconnect = {
      package     = "${local.packages}/disconnect/bootstrap.zip"
      connections = ["delete"]
    }
    send = {
      package            = "${local.packages}/send/bootstrap.zip"
      connections        = ["read", "delete"]
      history            = ["write"]
      manage_connections = ["POST"]
      timeout            = 28
      environment        = local.hands_over
      policy_statements  = module.publisher.delivery_statements
    }
    subscribe = {
      package            = "${local.packages}/subscribe/bootstrap.zip"
      connections        = ["read", "write", "delete"]
      history            = ["read"]
      manage_connections = ["POST"]
      timeout            = 28
    }
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    send          = { function = "send", two_way = true }
    subscribe     = { function = "subscribe", two_way = true }
  }
}

module "publisher" {
  source = "../../../modules/publisher"

  name      = "soak"
  package   = "${local.packages}/publish/bootstrap.zip"
  websocket = module.websocket
  timeout   = 10
}

locals {
  packages   = "../../../target/lambda"
  hands_over = { DELIVERY_QUEUE_URL = module.publisher.delivery_queue_url }
}

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "table_name" {
  value = module.websocket.table_name
}

# All that may still be under way is in one of them.
output "queue_urls" {
  value = [module.publisher.queue_url, module.publisher.delivery_queue_url]
}

output "dead_letter_queue_url" {
  value = module.publisher.dead_letter_queue_url
}
