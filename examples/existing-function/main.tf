# A route leads to a function that another part of the stack creates. The module gets its ARN and no more.

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

  name = "greetings"

  functions = {
    connect    = { package = "${local.packages}/connect/bootstrap.zip", connections = ["write"] }
    disconnect = { package = "${local.packages}/disconnect/bootstrap.zip", connections = ["delete"] }
    greeter    = { arn = aws_lambda_function.greeter.arn }
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    greet         = { function = "greeter", two_way = true }
  }
}

# The function, its role and its logs. They could also be in a stack of their own.
resource "aws_lambda_function" "greeter" {
  function_name    = "greeter"
  role             = aws_iam_role.greeter.arn
  filename         = "greeter.zip"
  source_code_hash = try(filebase64sha256("greeter.zip"), null) # Validating and destroying need no zip.
  runtime          = "python3.12"
  handler          = "greeter.handler"

  environment {
    variables = { AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI = module.websocket.management_endpoint }
  }

  logging_config {
    log_group  = aws_cloudwatch_log_group.greeter.name
    log_format = "JSON"
  }

  # Without its policies the first invocations would fail.
  depends_on = [aws_iam_role_policy.post, aws_iam_role_policy.logs]
}

resource "aws_iam_role" "greeter" {
  name = "greeter"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

# The module's output is the policy that allows posts to its connections.
resource "aws_iam_role_policy" "post" {
  name   = "post"
  role   = aws_iam_role.greeter.id
  policy = module.websocket.policies["POST"]
}

resource "aws_iam_role_policy" "logs" {
  name = "logs"
  role = aws_iam_role.greeter.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.greeter.arn}:*"]
    }]
  })
}

resource "aws_cloudwatch_log_group" "greeter" {
  name              = "/aws/lambda/greeter"
  retention_in_days = 30
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
