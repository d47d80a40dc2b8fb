# A live poll: a route of your own, with a function of your own behind it, beside the functions of this repository.

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

  name                       = "poll"
  route_selection_expression = "$request.body.type" # {"type": "vote", …}

  functions = {
    connect    = { package = "${local.packages}/connect/bootstrap.zip", connections = ["write"] }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
    default = {
      package     = "${local.packages}/default/bootstrap.zip"
      environment = { ACTION_FIELD = "type", ACTIONS = "vote,ping" }
    }
    vote = {
      package            = "${local.packages}/vote/bootstrap.zip"
      connections        = ["read", "delete"]
      manage_connections = ["POST"]
      policy_statements  = [{ actions = ["dynamodb:UpdateItem"], resources = [aws_dynamodb_table.votes.arn] }]
      environment        = { VOTES_TABLE = aws_dynamodb_table.votes.name }
      timeout            = 28
    }
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    "$default"    = { function = "default", two_way = true }
    ping          = { mock = jsonencode({ type = "pong" }) }
    vote = {
      function               = "vote"
      throttling_rate_limit  = 50
      throttling_burst_limit = 100
      # API Gateway answers a message that does not match. The message never reaches the function.
      request_model = jsonencode({
        type                 = "object"
        required             = ["type", "option"]
        additionalProperties = false
        properties = {
          type   = { type = "string" }
          option = { type = "string", enum = ["tea", "coffee", "water"] }
        }
      })
    }
  }
}

# One item for each poll, with a number for each option.
resource "aws_dynamodb_table" "votes" {
  name         = "poll-votes"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "poll"

  attribute {
    name = "poll"
    type = "S"
  }
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
