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

data "aws_partition" "this" {}

# AWS's own policy for this, which API Gateway checks for when the role is named.
resource "aws_iam_role_policy_attachment" "this" {
  count = var.create ? 1 : 0

  role       = aws_iam_role.this[0].name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count = var.create ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.this[0].arn

  # Named before it may write, the role would be refused.
  depends_on = [aws_iam_role_policy_attachment.this]
}
