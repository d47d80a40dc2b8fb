output "websocket_url" {
  description = "Where clients connect: wss://…"
  value       = local.websocket_url
  depends_on  = [aws_apigatewayv2_stage.this, aws_lambda_permission.route]
}

output "management_endpoint" {
  description = "Where messages are posted to connections (`@connections`): https://…"
  value       = local.management_endpoint
}

output "api_id" {
  description = "The API's id."
  value       = aws_apigatewayv2_api.this.id
}

output "execution_arn" {
  description = "The first part of the ARNs for policies about this API: append /STAGE/METHOD/@connections/* or /STAGE/ROUTE_KEY."
  value       = aws_apigatewayv2_api.this.execution_arn
}

output "stage" {
  description = "The stage's name."
  value       = aws_apigatewayv2_stage.this.name
}

output "table_name" {
  description = "The name of the connection table."
  value       = aws_dynamodb_table.connections.name
}

output "table_arn" {
  description = "The ARN of the connection table."
  value       = aws_dynamodb_table.connections.arn
}

output "functions" {
  description = "By name in `functions`: the function's `arn`, and for those made here its `role_name` and `log_group`."
  value = { for key, arn in local.function_arns : key => {
    arn       = arn
    role_name = try(aws_iam_role.function[key].name, null)
    log_group = try(aws_cloudwatch_log_group.function[key].name, null)
  } }
}

output "deployment_hash" {
  description = "Changes when, and only when, the API is deployed anew: for what has to follow a deployment."
  value       = aws_apigatewayv2_deployment.this.triggers["inputs"]
}
