# The stage's limits are always said: left out, AWS's provider would make them 0.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  functions = { f = { package = "tests/package.zip" } }
  routes = {
    "$default" = { function = "f" }
    slow       = { function = "f", throttling_rate_limit = 5 }
  }
}

run "by_default" {
  assert {
    condition     = aws_apigatewayv2_stage.this[0].default_route_settings[0].throttling_rate_limit == 1000 && aws_apigatewayv2_stage.this[0].default_route_settings[0].throttling_burst_limit == 500
    error_message = jsonencode(aws_apigatewayv2_stage.this[0].default_route_settings)
  }

  assert {
    condition     = aws_apigatewayv2_stage.this[0].name == "live"
    error_message = aws_apigatewayv2_stage.this[0].name
  }

  # A deployment that is made here would still hold the routes that are being deleted.
  assert {
    condition     = aws_apigatewayv2_stage.this[0].auto_deploy
    error_message = "every change is deployed"
  }
}

run "a_route_overrides_one_limit_and_keeps_the_other" {
  variables {
    throttling = { rate_limit = 50, burst_limit = 20 }
  }

  assert {
    condition     = [for s in aws_apigatewayv2_stage.this[0].route_settings : [s.route_key, s.throttling_rate_limit, s.throttling_burst_limit]] == [["slow", 5, 20]]
    error_message = jsonencode(aws_apigatewayv2_stage.this[0].route_settings)
  }
}

run "the_api_and_the_stage_are_named_described_and_tagged" {
  variables {
    description     = "For the tests"
    stage           = "dev"
    stage_variables = { colour = "blue" }
    tags            = { team = "a" }
    domain          = { name = "ws.example.com", hosted_zone = { id = "Z1" } }
    logging         = { access_logs = true, execution_level = "ERROR" }
    alarms          = {}
    routes          = { "$default" = { function = "f" }, track = { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:q" } } }
  }

  assert {
    condition = (
      aws_apigatewayv2_api.this[0].name == "chat"
      && aws_apigatewayv2_api.this[0].description == "For the tests"
      && aws_apigatewayv2_api.this[0].protocol_type == "WEBSOCKET"
      && aws_apigatewayv2_api.this[0].route_selection_expression == "$request.body.action"
      && aws_apigatewayv2_api.this[0].api_key_selection_expression == "$request.header.x-api-key"
      && aws_apigatewayv2_stage.this[0].name == "dev"
      && aws_apigatewayv2_stage.this[0].stage_variables == tomap({ colour = "blue" })
    )
    error_message = jsonencode([aws_apigatewayv2_api.this, aws_apigatewayv2_stage.this])
  }

  assert {
    condition = alltrue([for tags in [
      aws_apigatewayv2_api.this[0].tags, aws_apigatewayv2_stage.this[0].tags, aws_dynamodb_table.connections[0].tags,
      aws_lambda_function.this["f"].tags, aws_iam_role.function["f"].tags, aws_cloudwatch_log_group.function["f"].tags,
      aws_iam_role.route["track"].tags, aws_cloudwatch_log_group.access[0].tags, aws_cloudwatch_log_group.execution[0].tags,
      aws_cloudwatch_metric_alarm.this["client-errors"].tags, aws_acm_certificate.this[0].tags, aws_apigatewayv2_domain_name.this[0].tags,
    ] : tags == tomap({ team = "a" })])
    error_message = "something has no tags"
  }

  assert {
    condition     = output.api_id == "a1b2c3d4e5" && output.api_arn == "arn:aws:apigateway:eu-central-1::/apis/a1b2c3d4e5" && output.execution_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5" && output.stage == "dev" && output.stage_arn == aws_apigatewayv2_stage.this[0].arn
    error_message = "another stack cannot name the API"
  }
}
