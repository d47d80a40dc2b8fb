output "role" {
  description = "The role, in the form of `logging.account_role` of `websocket-api`: its `arn`, known once API Gateway uses it. Null if nothing is created."
  value       = one([for role in aws_iam_role.this : { arn = role.arn }])
  depends_on  = [aws_api_gateway_account.this]
}
