# A domain name of your own, with its certificate and its records, for IPv4 and IPv6.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "zone" {
  description = "The name of a public hosted zone in Route 53, such as example.com."
  type        = string
}

variable "domain" {
  description = "The domain name for the API, in that zone, such as ws.example.com."
  type        = string
}

data "aws_route53_zone" "this" {
  name = var.zone
}

module "websocket" {
  source = "../../modules/websocket-api"

  name            = "domain"
  ip_address_type = "dualstack"

  domain = {
    name        = var.domain
    hosted_zone = { id = data.aws_route53_zone.this.zone_id }
  }

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

output "management_endpoint" {
  value = module.websocket.management_endpoint
}
