# The permissions of the function, and of its senders.

locals {
  # A role belongs to the account, so its name must differ between Regions.
  role_name = join("-", compact([local.function_name, var.global_name_suffix]))

  task_queue_arns = values(aws_sqs_queue.tasks)[*].arn

  # The use of a queue that has its own key requires the use of the key.
  key_grants = [for key in var.queue.kms_key[*] : { actions = ["kms:GenerateDataKey", "kms:Decrypt"], resources = [key.arn] }]

  # These statements do not refer to the API: its functions can take them before it exists.
  send_statements = concat([for queue in aws_sqs_queue.this : { actions = ["sqs:SendMessage"], resources = [queue.arn] }], local.key_grants)

  delivery_statements = concat([for key, queue in aws_sqs_queue.tasks : { actions = ["sqs:SendMessage"], resources = [queue.arn] } if key == "deliveries"], local.key_grants)

  send_grants = [for s in local.send_statements : { Effect = "Allow", Action = s.actions, Resource = s.resources }]
  key_use     = [for s in local.key_grants : { Effect = "Allow", Action = s.actions, Resource = s.resources }]
}

resource "aws_iam_role" "this" {
  count = var.create ? 1 : 0

  name                 = local.role_name
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "this" {
  count = var.create ? 1 : 0

  name = "function"
  role = aws_iam_role.this[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.this[0].arn}:*"] },
        { Effect = "Allow", Action = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], Resource = concat(aws_sqs_queue.this[*].arn, local.task_queue_arns) },
        { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = local.task_queue_arns },
      ],
      local.key_use,
      # AWS has no narrower resource for these two actions.
      var.tracing ? [{ Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = ["*"] }] : [],
    )
  })
}

# The policies of the API's own functions: to read connections, to delete those that are gone, to post, and to close the
# connection of a client that accepts no posts.
resource "aws_iam_role_policy" "connections" {
  for_each = toset(var.create ? ["read", "delete", "POST", "DELETE"] : [])

  name   = each.key
  role   = aws_iam_role.this[0].id
  policy = var.websocket.policies[each.key]
}

# Publications are stored if the API has a history.
resource "aws_iam_role_policy" "history" {
  count = var.create && var.websocket.history != null ? 1 : 0

  name   = "history"
  role   = aws_iam_role.this[0].id
  policy = var.websocket.history.policies["write"]
}
