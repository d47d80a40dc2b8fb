# A private chat: a client needs a valid token to connect, and can use the channels that the token names. Every message names
# its sender's principal.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "key" {
  description = "The secret that tokens are signed with (HS256)."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.key) >= 32
    error_message = "The key has 32 characters or more: what is shorter can be guessed."
  }
}

module "websocket" {
  source = "../../modules/websocket-api"

  name = "authorized"

  functions = {
    authorize = {
      package           = "${local.packages}/authorize/bootstrap.zip"
      policy_statements = [{ actions = ["secretsmanager:GetSecretValue"], resources = [aws_secretsmanager_secret.key.arn] }]

      environment = {
        SECRET_ARN = aws_secretsmanager_secret.key.arn
        ISSUER     = "login.example.com"
        AUDIENCE   = "authorized"
      }
    }
    connect = {
      package     = "${local.packages}/connect/bootstrap.zip"
      connections = ["write"]
      environment = { SUBPROTOCOLS = "bearer" } # For browsers, which send the token as the next sub-protocol.
    }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
    subscribe  = { package = "${local.packages}/subscribe/bootstrap.zip", connections = ["read", "write", "delete"] }
    send = {
      package            = "${local.packages}/send/bootstrap.zip"
      connections        = ["read", "delete"]
      manage_connections = ["POST"]
      timeout            = 28
    }
    whoami = {
      package = "whoami.zip"
      runtime = "python3.12"
      handler = "whoami.handler"
    }
  }

  # There are no identity_sources: the token may be in one of three places, and API Gateway would require all that are named.
  authorizer = { function = "authorize" }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    subscribe     = { function = "subscribe", two_way = true }
    unsubscribe   = { function = "subscribe", two_way = true }
    list          = { function = "subscribe", two_way = true }
    send          = { function = "send", two_way = true }
    whoami        = { function = "whoami", two_way = true }
    ping          = { mock = jsonencode({ type = "pong" }) } # A heartbeat: an idle connection is closed after 10 minutes.
  }
}

resource "aws_secretsmanager_secret" "key" {
  name                    = "authorized-key"
  description             = "What tokens for the API authorized are signed with"
  recovery_window_in_days = 0 # 7 to 30 if it must not be lost: the name stays taken for so long.
}

resource "aws_secretsmanager_secret_version" "key" {
  secret_id     = aws_secretsmanager_secret.key.id
  secret_string = var.key
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
