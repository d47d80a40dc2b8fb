# Events of an EventBridge bus reach the user that they concern, by a rule and without code.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "issuer" {
  description = "The issuer of the tokens that users connect with, such as https://cognito-idp.REGION.amazonaws.com/POOL."
  type        = string
}

variable "audience" {
  description = "The audience of the tokens, as in their claim `aud`: with Cognito the app client's id, with Auth0 the API's identifier."
  type        = string
}

variable "jwks" {
  description = "The keys that tokens are signed with, as a JSON Web Key Set. Without it, the keys are fetched from the issuer."
  type        = string
  default     = null
}

module "websocket" {
  source = "../../modules/websocket-api"

  name = "orders"

  functions = {
    authorize = {
      package     = "${local.packages}/authorize/bootstrap.zip"
      environment = merge({ ISSUER = var.issuer, AUDIENCE = var.audience }, var.jwks == null ? {} : { JWKS = var.jwks })
    }
    connect = {
      package     = "${local.packages}/connect/bootstrap.zip"
      connections = ["write"]
      environment = { SUBPROTOCOLS = "bearer" } # For browsers, which send the token as the one after it.
    }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
  }

  authorizer = { function = "authorize" }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    ping          = { mock = jsonencode({ type = "pong" }) }
  }
}

module "publisher" {
  source = "../../modules/publisher"

  name      = "orders"
  package   = "${local.packages}/publish/bootstrap.zip"
  websocket = module.websocket
  senders   = [aws_cloudwatch_event_rule.orders]
}

resource "aws_cloudwatch_event_rule" "orders" {
  name          = "order-changed"
  description   = "Whose order has changed hears of it"
  event_pattern = jsonencode({ source = ["shop"], detail-type = ["Order changed"], detail = { buyer = [{ exists = true }] } })
}

# An event becomes a message. The message has the event's id, so that an event that is delivered twice can be recognized.
resource "aws_cloudwatch_event_target" "publish" {
  rule = aws_cloudwatch_event_rule.orders.name
  arn  = module.publisher.queue_arn

  input_transformer {
    input_paths    = { id = "$.id", buyer = "$.detail.buyer", detail = "$.detail" }
    input_template = "{\"user\": <buyer>, \"message\": <detail>, \"id\": <id>}"
  }
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
