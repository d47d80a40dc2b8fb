# Functions that are made here, and functions that exist already.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name    = "chat"
  logging = { retention_days = 7, function_level = "DEBUG" }
  tags    = { team = "a" }
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

run "a_function_gets_all_that_it_asks_for" {
  variables {
    functions = {
      made = {
        s3                      = { bucket = "packages", key = "made.zip", version = "v3" }
        architecture            = "x86_64"
        runtime                 = "python3.13"
        handler                 = "app.handler"
        memory_size             = 1024
        timeout                 = 29
        layers                  = ["arn:aws:lambda:eu-central-1:123456789012:layer:l:1"]
        reserved_concurrency    = 20
        provisioned_concurrency = 2
        vpc                     = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"] }
        tracing                 = true
        log_level               = "WARN"
        log_retention_days      = 90
        failure_destination     = { arn = "arn:aws:sqs:eu-central-1:123456789012:failed" }
      }
    }
    routes = { "$default" = { function = "made" } }
  }

  assert {
    condition = (
      aws_lambda_function.this["made"].s3_bucket == "packages"
      && aws_lambda_function.this["made"].s3_key == "made.zip"
      && aws_lambda_function.this["made"].s3_object_version == "v3"
      && aws_lambda_function.this["made"].filename == null
      && aws_lambda_function.this["made"].architectures == tolist(["x86_64"])
      && aws_lambda_function.this["made"].runtime == "python3.13"
      && aws_lambda_function.this["made"].handler == "app.handler"
      && aws_lambda_function.this["made"].memory_size == 1024
      && aws_lambda_function.this["made"].timeout == 29
      && aws_lambda_function.this["made"].layers == tolist(["arn:aws:lambda:eu-central-1:123456789012:layer:l:1"])
      && aws_lambda_function.this["made"].reserved_concurrent_executions == 20
      && aws_lambda_function.this["made"].tracing_config[0].mode == "Active"
      && aws_lambda_function.this["made"].vpc_config[0].subnet_ids == toset(["subnet-1", "subnet-2"])
      && aws_lambda_function.this["made"].vpc_config[0].security_group_ids == toset(["sg-1"])
      && aws_lambda_function.this["made"].logging_config[0].application_log_level == "WARN"
      && aws_cloudwatch_log_group.function["made"].retention_in_days == 90
      && aws_lambda_function_event_invoke_config.this["made"].destination_config[0].on_failure[0].destination == "arn:aws:sqs:eu-central-1:123456789012:failed"
    )
    error_message = jsonencode(aws_lambda_function.this["made"])
  }

  # Kept warm is a version; the routes follow the alias to whichever it is.
  assert {
    condition = (
      aws_lambda_function.this["made"].publish
      && aws_lambda_alias.warm["made"].name == "live"
      && aws_lambda_alias.warm["made"].function_version == aws_lambda_function.this["made"].version
      && aws_lambda_provisioned_concurrency_config.warm["made"].qualifier == "live"
      && aws_lambda_provisioned_concurrency_config.warm["made"].provisioned_concurrent_executions == 2
      && aws_apigatewayv2_integration.function["made"].integration_uri == aws_lambda_alias.warm["made"].invoke_arn
      && aws_lambda_permission.route["$default"].qualifier == "live"
    )
    error_message = "the routes invoke what is kept warm"
  }
}

run "unasked_a_function_gets_none_of_it" {
  assert {
    condition = (
      !aws_lambda_function.this["made"].publish
      && aws_lambda_function.this["made"].reserved_concurrent_executions == -1
      && length(aws_lambda_function.this["made"].vpc_config) == 0
      && aws_lambda_function.this["made"].tracing_config[0].mode == "PassThrough"
      && length(aws_lambda_alias.warm) + length(aws_lambda_provisioned_concurrency_config.warm) + length(aws_lambda_function_event_invoke_config.this) == 0
    )
    error_message = jsonencode(aws_lambda_function.this["made"])
  }
}

# Planned, not applied: what AWS will call the function, the queue, the key, the certificate and the zone is not known yet.
run "what_is_not_known_yet_can_be_planned_with" {
  command = plan

  module {
    source = "./tests/all-unknown"
  }

  assert {
    condition     = module.websocket.stage == "live"
    error_message = "the plan is made"
  }
}
