# The account's role for API Gateway's logs.

mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-cn:iam::123456789012:role/api-gateway-logs" }
  }
}

run "api_gateway_writes_by_the_role" {
  assert {
    condition     = aws_api_gateway_account.this[0].cloudwatch_role_arn == aws_iam_role.this[0].arn && output.role.arn == aws_iam_role.this[0].arn
    error_message = "the account names another role: ${aws_api_gateway_account.this[0].cloudwatch_role_arn}"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.this[0].policy_arn == "arn:aws-cn:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    error_message = "the role may write logs, in every partition: ${aws_iam_role_policy_attachment.this[0].policy_arn}"
  }

  assert {
    condition = jsondecode(aws_iam_role.this[0].assume_role_policy).Statement == [
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } },
    ]
    error_message = "none but API Gateway takes the role: ${aws_iam_role.this[0].assume_role_policy}"
  }
}

run "without_create_the_account_stays_as_it_is" {
  variables {
    create = false
  }

  assert {
    condition     = length(aws_iam_role.this) + length(aws_iam_role_policy_attachment.this) + length(aws_api_gateway_account.this) == 0 && output.role == null
    error_message = "something is created"
  }
}
