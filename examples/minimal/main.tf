# Live updates for a stack of your own: the module, three functions, and the routes to them.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

module "websocket" {
  source = "../../modules/websocket-api"

  name = "updates"

  functions = {
    connect    = { package = "${local.packages}/connect/bootstrap.zip", connections = ["write"] }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
    send = {
      package            = "${local.packages}/send/bootstrap.zip"
      connections        = ["read", "delete"]
      manage_connections = ["POST"]
      timeout            = 28
    }
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    send          = { function = "send", two_way = true }
    ping          = { mock = jsonencode({ type = "pong" }) } # A heartbeat: an idle connection is closed after 10 minutes.
  }
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "table_name" {
  value = module.websocket.table_name
}
