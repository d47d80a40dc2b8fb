output "websocket_url" {
  description = "The URL that clients connect to: wss://…, under the domain if there is one."
  value       = local.websocket_url
  depends_on  = [aws_apigatewayv2_stage.this, aws_apigatewayv2_api_mapping.this, aws_route53_record.alias]
}

output "management_endpoint" {
  description = "The URL for posts to connections (`@connections`): https://… For a function outside of the module, set `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI` to it."
  value       = local.management_endpoint
}

output "policies" {
  description = "IAM policy documents for functions and services outside of the module, by intent: `read`, `write` and `delete` connections in the table; `POST`, `GET` and `DELETE` at `@connections`."
  value = merge(
    { for intent in ["read", "write", "delete"] : intent => local.table == null ? null : jsonencode({
      Version   = "2012-10-17"
      Statement = concat(local.table_grants[intent], local.table_key_grants)
    }) },
    { for intent in ["POST", "GET", "DELETE"] : intent => var.create ? jsonencode({
      Version   = "2012-10-17"
      Statement = local.stage_grants[intent]
    }) : null },
  )
}

output "api_id" {
  description = "The API's id."
  value       = one(aws_apigatewayv2_api.this[*].id)
}

output "api_arn" {
  description = "The API's ARN."
  value       = one(aws_apigatewayv2_api.this[*].arn)
}

output "execution_arn" {
  description = "The prefix of the ARNs in policies for this API: append /STAGE/METHOD/@connections/* or /STAGE/ROUTE_KEY."
  value       = one(aws_apigatewayv2_api.this[*].execution_arn)
}

output "stage" {
  description = "The stage's name."
  value       = one(aws_apigatewayv2_stage.this[*].name)
}

output "stage_arn" {
  description = "The stage's ARN."
  value       = one(aws_apigatewayv2_stage.this[*].arn)
}

output "authorizer_id" {
  description = "The id of the authorizer, if it is a function; otherwise null."
  value       = one(aws_apigatewayv2_authorizer.this[*].id)
}

output "table_name" {
  description = "The name of the connection table; null if there is none."
  value       = try(local.table.name, null)
}

output "table_arn" {
  description = "The ARN of the connection table; null if there is none."
  value       = try(local.table.arn, null)
}

output "shards" {
  description = "The number of partitions that a channel is spread over. For functions outside of the module, as `CONNECTION_SHARDS`."
  value       = one(var.connection_table[*].shards)
}

output "everyone_shards" {
  description = "That number for the channel `*`; null if it is the same. For functions outside of the module, as `EVERYONE_SHARDS`."
  value       = try(var.connection_table.everyone_shards, null)
}

output "former_shards" {
  description = "The greater number of before, whose shards are still read; null if there is none. For functions outside of the module, as `FORMER_SHARDS`."
  value       = try(var.connection_table.former_shards, null)
}

output "metrics_namespace" {
  description = "The CloudWatch namespace of the functions' metrics; null without `metrics`. For functions outside of the module, as `METRICS_NAMESPACE`."
  value       = var.metrics ? local.metrics_namespace : null
}

output "history" {
  description = "The history, for functions outside of the module. Its `table_name` and its limits `seconds` and `messages` are for `HISTORY_TABLE`, `HISTORY_SECONDS` and `HISTORY_MESSAGES`. Its `policies` are IAM policy documents to `read` and to `write` the history. Null if there is none."
  value = one([for table in aws_dynamodb_table.history : {
    table_name = table.name
    seconds    = var.history.seconds
    messages   = var.history.messages
    policies = { for intent, grants in local.history_grants : intent => jsonencode({
      Version   = "2012-10-17"
      Statement = concat(grants, local.history_key_grants)
    }) }
  }])
}

output "functions" {
  description = "The functions, by their name in `functions`. Each has the `arn` to invoke, which is an alias's if the function is kept warm. Those created here also have `name`, `role_name`, `role_arn` and `log_group`."
  value = { for key, arn in local.function_arns : key => {
    arn       = arn
    name      = try(aws_lambda_function.this[key].function_name, null)
    role_name = try(aws_iam_role.function[key].name, null)
    role_arn  = try(aws_iam_role.function[key].arn, null)
    log_group = try(aws_cloudwatch_log_group.function[key].name, null)
  } }
}

output "log_groups" {
  description = "The names of the log groups that are created here for API Gateway: `access` and `execution`. Each is null if that log is off or goes elsewhere."
  value = {
    access    = one(aws_cloudwatch_log_group.access[*].name)
    execution = one(aws_cloudwatch_log_group.execution[*].name)
  }
}

output "domain_name" {
  description = "The domain's name, for other APIs that share it (`domain.existing`). It is known once the domain exists; null without a domain."
  value       = one(aws_apigatewayv2_api_mapping.this[*].domain_name)
}

output "domain_target" {
  description = "The target of the domain's records, if you create them: `name` and `hosted_zone_id`. Null without a domain that is created here."
  value       = local.domain_target
}

output "alarm_arns" {
  description = "The ARNs of the alarms, by name."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.arn }
}

output "dashboard_name" {
  description = "The dashboard's name; null if there is none."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}
