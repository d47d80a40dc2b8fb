# The function authorize with its secret in a parameter, and the grant that a test gives it.

terraform {
  required_version = ">= 1.9"
}

variable "key" {
  type      = string
  sensitive = true
}

variable "action" {
  type = string
}

module "websocket" {
  source = "../../../modules/websocket-api"

  name = "parameter"

  functions = {
    authorize = {
      package           = "../../../target/lambda/authorize/bootstrap.zip"
      policy_statements = [{ actions = [var.action], resources = [aws_ssm_parameter.key.arn] }]

      environment = {
        SECRET_ARN = aws_ssm_parameter.key.arn
        ISSUER     = "login.example.com"
        AUDIENCE   = "parameter"
      }
    }
    connect = { package = "../../../target/lambda/connect/bootstrap.zip", connections = ["write"] }
  }

  authorizer = { function = "authorize" }
  routes     = { "$connect" = { function = "connect" } }
}

resource "aws_ssm_parameter" "key" {
  name  = "/parameter/key"
  type  = "SecureString"
  value = var.key
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
