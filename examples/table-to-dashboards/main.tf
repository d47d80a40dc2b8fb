# Dashboards show the content of a table: each change reaches them, by the table's stream.

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

  name = "stock"

  functions = {
    connect    = { package = "${local.packages}/connect/bootstrap.zip", connections = ["write"] }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
    subscribe  = { package = "${local.packages}/subscribe/bootstrap.zip", connections = ["read", "write", "delete"] }

    # The table's stream invokes this function, not a route.
    changes = {
      package     = "changes.zip"
      runtime     = "python3.12"
      handler     = "changes.handler"
      environment = { QUEUE_URL = module.publisher.queue_url }
      policy_statements = concat(module.publisher.send_statements, [{
        actions   = ["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams"]
        resources = [aws_dynamodb_table.stock.stream_arn]
      }])
    }
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    subscribe     = { function = "subscribe", two_way = true }
    unsubscribe   = { function = "subscribe", two_way = true }
    ping          = { mock = jsonencode({ type = "pong" }) } # A heartbeat: an idle connection is closed after 10 minutes.
  }
}

module "publisher" {
  source = "../../modules/publisher"

  name      = "stock"
  package   = "${local.packages}/publish/bootstrap.zip"
  websocket = module.websocket
}

# The number of each item in each warehouse.
resource "aws_dynamodb_table" "stock" {
  name             = "stock"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "warehouse"
  range_key        = "item"
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  attribute {
    name = "warehouse"
    type = "S"
  }

  attribute {
    name = "item"
    type = "S"
  }
}

resource "aws_lambda_event_source_mapping" "changes" {
  event_source_arn              = aws_dynamodb_table.stock.stream_arn
  function_name                 = module.websocket.functions["changes"].arn
  starting_position             = "LATEST"
  batch_size                    = 10  # As many as fit into one call of SQS.
  maximum_record_age_in_seconds = 300 # Old news: a change that fails for so long no longer holds up the rest.
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "stock_table" {
  value = aws_dynamodb_table.stock.name
}
