# The permissions of functions, and of routes that call a service themselves. Every grant is a statement in IAM's form.

locals {
  # The actions and resources of each intent. There is no Scan, on purpose.
  grants = merge(local.table_grants, local.stage_grants)
  table_grants = merge([for table in local.table[*] : {
    read  = [{ Effect = "Allow", Action = ["dynamodb:Query"], Resource = [table.arn] }]
    write = [{ Effect = "Allow", Action = ["dynamodb:PutItem"], Resource = [table.arn] }]
    # No BatchWriteItem: a grant to delete with it is also a grant to write.
    delete = [
      { Effect = "Allow", Action = ["dynamodb:DeleteItem"], Resource = [table.arn] },
      { Effect = "Allow", Action = ["dynamodb:Query"], Resource = ["${table.arn}/index/${local.connection_index}"] },
    ]
  }]...)
  stage_grants = merge([for stage_arn in local.stage_arn[*] : {
    POST   = [{ Effect = "Allow", Action = ["execute-api:ManageConnections"], Resource = ["${stage_arn}/POST/@connections/*"] }]
    GET    = [{ Effect = "Allow", Action = ["execute-api:ManageConnections"], Resource = ["${stage_arn}/GET/@connections/*"] }]
    DELETE = [{ Effect = "Allow", Action = ["execute-api:ManageConnections"], Resource = ["${stage_arn}/DELETE/@connections/*"] }]
  }]...)
  stage_arn = var.create ? "${local.api.execution_arn}/${var.stage}" : null

  # A grant for the table includes the use of its key, through DynamoDB only.
  table_key_grants = [for key in local.table_key[*] : {
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = [key.arn]
    Condition = { StringLike = { "kms:ViaService" = "dynamodb.*" } }
  }]

  # AWS has no narrower resource for these two grants.
  tracing_grant = { Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = ["*"] }
  vpc_grant = {
    Effect = "Allow"
    Action = [
      "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
      "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
    ]
    Resource = ["*"]
  }

  # The action for a failure destination, by the service in its ARN.
  failure_actions = { sqs = "sqs:SendMessage", sns = "sns:Publish", lambda = "lambda:InvokeFunction", events = "events:PutEvents" }

  function_grants = {
    for key, f in local.made_functions : key => concat(
      [{ Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.function[key].arn}:*"] }],
      flatten([for intent in concat(sort(f.connections), sort(f.manage_connections)) : local.grants[intent]]),
      flatten([for intent in sort(f.history) : local.history_grants[intent]]),
      # Both tables may have the same key.
      distinct(concat(
        [for grant in local.table_key_grants : grant if length(f.connections) > 0],
        [for grant in local.history_key_grants : grant if length(f.history) > 0],
      )),
      [for key in f.environment_key[*] : { Effect = "Allow", Action = ["kms:Decrypt"], Resource = [key.arn] }],
      [for destination in f.failure_destination[*] : {
        Effect   = "Allow"
        Action   = [local.failure_actions[split(":", destination.arn)[2]]]
        Resource = [destination.arn]
      }],
      f.tracing ? [local.tracing_grant] : [],
      f.vpc == null ? [] : [local.vpc_grant],
      [for s in f.policy_statements : { Effect = "Allow", Action = s.actions, Resource = s.resources }],
    )
  }

  route_grants = merge(
    { for key, r in local.routes : key => concat(
      [{ Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [r.queue.arn] }],
      [for key in r.queue.kms_key[*] : { Effect = "Allow", Action = ["kms:GenerateDataKey", "kms:Decrypt"], Resource = [key.arn] }],
    ) if r.queue != null },
    { for key, r in local.routes : key => [
      for s in r.service.policy_statements : { Effect = "Allow", Action = s.actions, Resource = s.resources }
    ] if try(r.service.method, null) != null },
  )
}

locals {
  # Roles and the dashboard belong to the account, so their names must differ between Regions.
  global_suffix = join("", [for suffix in var.global_name_suffix[*] : "-${suffix}"])
}

resource "aws_iam_role" "function" {
  for_each = local.made_functions

  name                 = "${var.name}-${each.key}${local.global_suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "function" {
  for_each = local.made_functions

  name   = "function"
  role   = aws_iam_role.function[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.function_grants[each.key] })

  # The function inherits this setting from the resources that depend on it. If it were missing here, Terraform 1.9 would
  # find a cycle when a function is deleted while the table changes.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role" "route" {
  for_each = local.route_grants

  name                 = local.route_integrations[each.key].role
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "route" {
  for_each = local.route_grants

  name   = "route"
  role   = aws_iam_role.route[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.route_grants[each.key] })
}
