# Functions that are made here, and functions that exist already.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name               = "chat"
  log_retention_days = 7
  log_level          = "DEBUG"
  tags               = { team = "a" }
  functions = {
    made      = { package = "tests/package.zip", environment = { GREETING = "hello" } }
    elsewhere = { arn = "arn:aws-cn:lambda:cn-north-1:210987654321:function:greeter" }
    alias     = { arn = "arn:aws:lambda:eu-central-1:210987654321:function:greeter:live" }
  }
  routes = {
    "$default" = { function = "made" }
    a          = { function = "elsewhere" }
    b          = { function = "alias" }
  }
}

run "a_package_becomes_a_function" {
  assert {
    condition = (
      keys(aws_lambda_function.this) == ["made"]
      && aws_lambda_function.this["made"].function_name == "chat-made"
      && aws_lambda_function.this["made"].architectures == tolist(["arm64"])
      && aws_lambda_function.this["made"].runtime == "provided.al2023"
      && aws_lambda_function.this["made"].source_code_hash == filebase64sha256("tests/package.zip")
      && aws_lambda_function.this["made"].environment[0].variables["GREETING"] == "hello"
      && aws_lambda_function.this["made"].tags == tomap({ team = "a" })
    )
    error_message = jsonencode(aws_lambda_function.this["made"])
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.function["made"].name == "/aws/lambda/chat-made"
      && aws_cloudwatch_log_group.function["made"].retention_in_days == 7
      && aws_lambda_function.this["made"].logging_config[0].log_group == "/aws/lambda/chat-made"
      && aws_lambda_function.this["made"].logging_config[0].log_format == "JSON"
      && aws_lambda_function.this["made"].logging_config[0].application_log_level == "DEBUG"
    )
    error_message = "its logs go to a group of its own, which ends"
  }
}

run "an_existing_function_is_only_invoked" {
  assert {
    condition     = keys(aws_iam_role.function) == ["made"] && keys(aws_cloudwatch_log_group.function) == ["made"]
    error_message = "nothing is made for a function that exists"
  }

  assert {
    condition     = aws_apigatewayv2_integration.function["elsewhere"].integration_uri == "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:210987654321:function:greeter/invocations"
    error_message = aws_apigatewayv2_integration.function["elsewhere"].integration_uri
  }

  assert {
    condition     = aws_apigatewayv2_integration.function["alias"].integration_uri == "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:210987654321:function:greeter:live/invocations"
    error_message = aws_apigatewayv2_integration.function["alias"].integration_uri
  }

  assert {
    condition = (
      aws_lambda_permission.route["a"].function_name == "arn:aws-cn:lambda:cn-north-1:210987654321:function:greeter"
      && aws_lambda_permission.route["a"].qualifier == null
      && aws_lambda_permission.route["b"].function_name == "arn:aws:lambda:eu-central-1:210987654321:function:greeter"
      && aws_lambda_permission.route["b"].qualifier == "live"
    )
    error_message = "the permission is for the alias that is invoked"
  }

  assert {
    condition     = output.functions["elsewhere"].role_name == null && output.functions["made"].log_group == "/aws/lambda/chat-made"
    error_message = jsonencode(output.functions)
  }
}
