# A backend tells clients what has happened. Of the API it has only a queue's URL, and a policy to send to that queue.

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

  name = "news"

  functions = {
    connect    = { package = "${local.packages}/connect/bootstrap.zip", connections = ["write"] }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
    subscribe  = { package = "${local.packages}/subscribe/bootstrap.zip", connections = ["read", "write", "delete"] }
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

  name      = "news"
  package   = "${local.packages}/publish/bootstrap.zip"
  websocket = module.websocket
}

# The backend: its function, role and logs could also be in a stack of their own.
resource "aws_lambda_function" "shop" {
  function_name    = "shop"
  role             = aws_iam_role.shop.arn
  filename         = "shop.zip"
  source_code_hash = try(filebase64sha256("shop.zip"), null) # Validating and destroying need no zip.
  runtime          = "python3.12"
  handler          = "shop.handler"

  environment {
    variables = { QUEUE_URL = module.publisher.queue_url }
  }

  logging_config {
    log_group  = aws_cloudwatch_log_group.shop.name
    log_format = "JSON"
  }

  # Without its policies the first invocations would fail.
  depends_on = [aws_iam_role_policy.send, aws_iam_role_policy.logs]
}

resource "aws_iam_role" "shop" {
  name = "shop"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

# The module's output is the policy that allows sending.
resource "aws_iam_role_policy" "send" {
  name   = "send"
  role   = aws_iam_role.shop.id
  policy = module.publisher.send_policy
}

resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.shop.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.shop.arn}:*"]
    }]
  })
}

resource "aws_cloudwatch_log_group" "shop" {
  name              = "/aws/lambda/shop"
  retention_in_days = 30
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "queue_url" {
  value = module.publisher.queue_url
}

output "dead_letter_queue_url" {
  value = module.publisher.dead_letter_queue_url
}

output "table_name" {
  value = module.websocket.table_name
}
