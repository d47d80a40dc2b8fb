# Only who brings a signed token may connect, and every message tells whose it is.

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
  description = "The key that tokens are signed with."
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
      package     = "authorize.zip"
      runtime     = "python3.12"
      handler     = "authorize.handler"
      environment = { KEY = var.key }
    }
    connect    = { package = "${local.packages}/connect/bootstrap.zip", connections = ["write"] }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
    whoami = {
      package = "whoami.zip"
      runtime = "python3.12"
      handler = "whoami.handler"
    }
  }

  authorizer = {
    function         = "authorize"
    identity_sources = ["route.request.querystring.token"]
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    whoami        = { function = "whoami", two_way = true }
  }
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
