# The chat backend for those who bring a token.

terraform {
  required_version = ">= 1.9"
}

variable "jwks" {
  description = "The keys that tokens are signed with."
  type        = string
}

module "websocket" {
  source = "../../../modules/websocket-api"

  name = "tokens"

  functions = {
    authorize = {
      package     = "../../../target/lambda/authorize/bootstrap.zip"
      environment = { JWKS = var.jwks, ISSUER = "login.example.com", AUDIENCE = "chat" }
    }
    connect = {
      package     = "../../../target/lambda/connect/bootstrap.zip"
      connections = ["write"]
      environment = { SUBPROTOCOLS = "bearer" }
    }
    disconnect = { package = "../../../target/lambda/disconnect/bootstrap.zip", connections = ["delete"] }
    send       = { package = "../../../target/lambda/send/bootstrap.zip", connections = ["read", "delete"], manage_connections = ["POST"], timeout = 29 }
    subscribe  = { package = "../../../target/lambda/subscribe/bootstrap.zip", connections = ["read", "write", "delete"] }
  }

  authorizer = { function = "authorize" }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    send          = { function = "send", two_way = true }
    subscribe     = { function = "subscribe", two_way = true }
    list          = { function = "subscribe", two_way = true }
  }
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
