output "role" {
  description = "The role, as `logging.account_role` of `websocket-api` takes it: its `arn`, known once API Gateway uses it; null where nothing is created."
  value       = one([for role in aws_iam_role.this : { arn = role.arn }])
  depends_on  = [aws_api_gateway_account.this]
}
