# API Gateway's logs: off unless asked for; then the groups are ours, and end.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name  = "chat"
  stage = "dev"
  routes = {
    ping = { mock = "pong" }
    slow = { mock = "pong", throttling_rate_limit = 5 }
  }
}

run "by_default_the_account_needs_no_role_for_logs" {
  assert {
    condition = (
      length(aws_cloudwatch_log_group.access) + length(aws_cloudwatch_log_group.execution) == 0
      && length(aws_apigatewayv2_stage.this[0].access_log_settings) == 0
      && aws_apigatewayv2_stage.this[0].default_route_settings[0].logging_level == "OFF"
      && !aws_apigatewayv2_stage.this[0].default_route_settings[0].data_trace_enabled
      && !aws_apigatewayv2_stage.this[0].default_route_settings[0].detailed_metrics_enabled
      && output.log_groups.access == null && output.log_groups.execution == null
    )
    error_message = jsonencode(aws_apigatewayv2_stage.this[0])
  }
}

run "access_logs_say_who_did_what_and_how_it_ended" {
  variables {
    logging = { access_logs = true, retention_days = 90, kms_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" } }
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.access[0].name == "/aws/apigateway/chat/dev/access"
      && aws_cloudwatch_log_group.access[0].retention_in_days == 90
      && aws_cloudwatch_log_group.access[0].kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/k"
      && aws_apigatewayv2_stage.this[0].access_log_settings[0].destination_arn == aws_cloudwatch_log_group.access[0].arn
      && output.log_groups.access == "/aws/apigateway/chat/dev/access"
    )
    error_message = jsonencode(aws_cloudwatch_log_group.access)
  }

  assert {
    condition = length(setsubtract(
      ["$context.connectionId", "$context.eventType", "$context.routeKey", "$context.status", "$context.authorizer.error", "$context.integrationErrorMessage"],
      values(jsondecode(aws_apigatewayv2_stage.this[0].access_log_settings[0].format)),
    )) == 0
    error_message = aws_apigatewayv2_stage.this[0].access_log_settings[0].format
  }

  assert {
    condition     = length(aws_apigatewayv2_stage.this[0].access_log_settings[0].format) <= 3072
    error_message = "API Gateway takes 3 KB"
  }
}

run "the_line_can_be_another" {
  variables {
    logging = { access_logs = true, access_log_format = { id = "$context.requestId" } }
  }

  assert {
    condition     = aws_apigatewayv2_stage.this[0].access_log_settings[0].format == "{\"id\":\"$context.requestId\"}"
    error_message = aws_apigatewayv2_stage.this[0].access_log_settings[0].format
  }
}

run "execution_logs_go_to_a_group_that_ends" {
  variables {
    logging = { execution_level = "INFO", retention_days = 7, data_trace = true, detailed_metrics = true, account_role = { arn = "arn:aws:iam::123456789012:role/logs" } }
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.execution[0].name == "/aws/apigateway/a1b2c3d4e5/dev"
      && aws_cloudwatch_log_group.execution[0].retention_in_days == 7
      && output.log_groups.execution == "/aws/apigateway/a1b2c3d4e5/dev"
    )
    error_message = jsonencode(aws_cloudwatch_log_group.execution)
  }

  # A route with limits of its own logs as all others do.
  assert {
    condition = alltrue([for s in concat(aws_apigatewayv2_stage.this[0].default_route_settings, tolist(aws_apigatewayv2_stage.this[0].route_settings)) :
    s.logging_level == "INFO" && s.data_trace_enabled && s.detailed_metrics_enabled])
    error_message = jsonencode(aws_apigatewayv2_stage.this[0].route_settings)
  }
}

run "access_logs_go_where_they_are_sent" {
  command = plan

  variables {
    logging = { access_logs = true, access_log_destination = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:all:*" } }
  }

  assert {
    condition     = length(aws_cloudwatch_log_group.access) == 0 && aws_apigatewayv2_stage.this[0].access_log_settings[0].destination_arn == "arn:aws:logs:eu-central-1:123456789012:log-group:all"
    error_message = "no other group is made, and the ARN is as API Gateway takes it: ${aws_apigatewayv2_stage.this[0].access_log_settings[0].destination_arn}"
  }
}
