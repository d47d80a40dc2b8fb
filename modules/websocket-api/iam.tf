locals {
  # What an intent means, in actions and the resources that they are for. There is no Scan, on purpose.
  table_grants = {
    read  = [{ actions = ["dynamodb:Query"], resource = aws_dynamodb_table.connections.arn }]
    write = [{ actions = ["dynamodb:PutItem"], resource = aws_dynamodb_table.connections.arn }]
    # No BatchWriteItem: who may delete by it may write by it too.
    delete = [
      { actions = ["dynamodb:DeleteItem"], resource = aws_dynamodb_table.connections.arn },
      { actions = ["dynamodb:Query"], resource = "${aws_dynamodb_table.connections.arn}/index/${local.connection_index}" },
    ]
  }

  function_grants = {
    for key, f in local.made_functions : key => concat(
      [{ actions = ["logs:CreateLogStream", "logs:PutLogEvents"], resource = "${aws_cloudwatch_log_group.function[key].arn}:*" }],
      flatten([for intent in sort(f.connections) : local.table_grants[intent]]),
      [for method in sort(f.manage_connections) : {
        actions  = ["execute-api:ManageConnections"]
        resource = "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/${method}/@connections/*"
      }],
    )
  }
}

resource "aws_iam_role" "function" {
  for_each = local.made_functions

  name = "${var.name}-${each.key}"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.made_functions

  name = "function"
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for grant in local.function_grants[each.key] : {
      Effect   = "Allow"
      Action   = grant.actions
      Resource = grant.resource
    }]
  })
}
