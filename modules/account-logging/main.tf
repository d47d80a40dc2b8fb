# In each Region, API Gateway writes logs with one role of the whole account. This module creates that role, and sets it.

resource "aws_iam_role" "this" {
  count = var.create ? 1 : 0

  name = var.name
  tags = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } }]
  })
}

# AWS's own policy for this. API Gateway checks that the role has it when the role is set. The partition comes from the role's
# ARN: a data source would be unknown when a dependency of this module changes, and the policy would be attached anew.
resource "aws_iam_role_policy_attachment" "this" {
  count = var.create ? 1 : 0

  role       = aws_iam_role.this[0].name
  policy_arn = "arn:${split(":", aws_iam_role.this[0].arn)[1]}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count = var.create ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.this[0].arn

  # API Gateway would refuse a role that may not write yet.
  depends_on = [aws_iam_role_policy_attachment.this]
}
