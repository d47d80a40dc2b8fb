# Nothing is created where nothing is wanted, whatever the other inputs say.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name             = "chat"
  create           = false
  functions        = { f = { package = "tests/no-such.zip", connections = ["read"], manage_connections = ["POST"], provisioned_concurrency = 1 }, g = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:g" } }
  routes           = { "$connect" = { function = "f" }, a = { function = "g", request_model = "{}" }, ping = { mock = "pong" }, track = { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:q" } } }
  authorizer       = { function = "f" }
  domain           = { name = "ws.example.com", hosted_zone = { id = "Z1" } }
  logging          = { access_logs = true, execution_level = "INFO" }
  alarms           = {}
  dashboard        = true
  history          = {}
  connection_table = { existing = { name = "mine", arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/mine" }, kms_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" } }
}

run "nothing_is_created" {
  assert {
    condition = sum([
      length(aws_acm_certificate.this), length(aws_acm_certificate_validation.this), length(aws_apigatewayv2_api.this),
      length(aws_apigatewayv2_api_mapping.this), length(aws_apigatewayv2_authorizer.this),
      length(aws_apigatewayv2_domain_name.this), length(aws_apigatewayv2_integration.function), length(aws_apigatewayv2_integration.route),
      length(aws_apigatewayv2_integration_response.reply), length(aws_apigatewayv2_model.request), length(aws_apigatewayv2_route.this),
      length(aws_apigatewayv2_route_response.this), length(aws_apigatewayv2_stage.this), length(aws_cloudwatch_dashboard.this),
      length(aws_cloudwatch_log_group.access), length(aws_cloudwatch_log_group.execution), length(aws_cloudwatch_log_group.function),
      length(aws_cloudwatch_metric_alarm.this), length(aws_dynamodb_table.connections), length(aws_dynamodb_table.history),
      length(aws_iam_role.function),
      length(aws_iam_role.route), length(aws_iam_role_policy.function), length(aws_iam_role_policy.route), length(aws_lambda_alias.warm),
      length(aws_lambda_function.this), length(aws_lambda_function_event_invoke_config.this), length(aws_lambda_permission.authorizer),
      length(aws_lambda_permission.route), length(aws_lambda_provisioned_concurrency_config.warm), length(aws_route53_record.alias),
      length(aws_route53_record.validation),
    ]) == 0
    error_message = "something is created"
  }

  assert {
    condition     = output.websocket_url == null && output.management_endpoint == null && output.api_id == null && output.table_name == null && output.history == null && length(output.functions) == 0 && output.policies["POST"] == null
    error_message = "an output names what is not there"
  }
}
