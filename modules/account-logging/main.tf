# API Gateway writes logs by one role of the whole account, in each Region. This makes that role, and names it.

resource "aws_iam_role" "this" {
  count = var.create ? 1 : 0

  name = var.name
  tags = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } }]
  })
}

# AWS's own policy for this, which API Gateway checks for when the role is named. The partition is read off the role: data
# would not be known where what this module depends on changes, and the policy would be attached anew.
resource "aws_iam_role_policy_attachment" "this" {
  count = var.create ? 1 : 0

  role       = aws_iam_role.this[0].name
  policy_arn = "arn:${split(":", aws_iam_role.this[0].arn)[1]}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count = var.create ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.this[0].arn

  # Named before it may write, the role would be refused.
  depends_on = [aws_iam_role_policy_attachment.this]
}
