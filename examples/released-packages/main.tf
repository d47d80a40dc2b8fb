# The functions of a release, without a Rust toolchain: `./download` has fetched and checked them.

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

  name = "released"

  functions = {
    connect    = { package = "packages/connect-arm64.zip", connections = ["write"] }
    disconnect = { package = "packages/disconnect-arm64.zip", connections = ["delete"] }
    send = {
      package            = "packages/send-arm64.zip"
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

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "table_name" {
  value = module.websocket.table_name
}
