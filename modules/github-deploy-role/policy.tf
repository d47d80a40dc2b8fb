# The actions that Terraform calls to plan, apply and destroy the stack in terraform/. Each service names its resources in its
# own way. All names begin with var.names, except those of API Gateway and of event source mappings: AWS generates their ids.
# Further grants for a stack are in var.statements.
# The provider also asks KMS for DynamoDB's own key, and ignores the refusal.

# The Region is read by `id`: in version 6 of the provider, `name` is deprecated.
data "aws_region" "this" {}

locals {
  # arn:PARTITION:iam::ACCOUNT:role/NAME
  partition = split(":", aws_iam_role.this.arn)[1]
  account   = split(":", aws_iam_role.this.arn)[4]
  here      = "${data.aws_region.this.id}:${local.account}"

  alarms      = "arn:${local.partition}:cloudwatch:${local.here}:alarm:${var.names}-*"
  api_gateway = "arn:${local.partition}:apigateway:${data.aws_region.this.id}::"
  apis        = ["${local.api_gateway}/apis", "${local.api_gateway}/apis/*"]
  # AWS checks tags of an API under the first path, and those of its stages under the second.
  api_tags      = [for path in ["v2/apis/", "apis/"] : "${local.api_gateway}/tags/${urlencode("${local.api_gateway}/${path}")}*"]
  dashboards    = [for name in [var.names, "${var.names}-*"] : "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${name}"]
  event_sources = "arn:${local.partition}:lambda:${local.here}:event-source-mapping:*"
  functions     = "arn:${local.partition}:lambda:${local.here}:function:${var.names}-*"
  log_groups    = "arn:${local.partition}:logs:${local.here}:log-group:/aws/lambda/${var.names}-*"
  queues        = "arn:${local.partition}:sqs:${local.here}:${var.names}-*"
  roles         = "arn:${local.partition}:iam::${local.account}:role/${var.names}-*"
  tables        = "arn:${local.partition}:dynamodb:${local.here}:table/${var.names}-*"

  # AWS generates an API's id, so this tag tells which stack the API belongs to. Routes and the like have no tags of their own,
  # and AWS does not say whether the API's tags count for them. Without a tag, the condition passes.
  tag           = "stack"
  has_our_tag   = { "aws:ResourceTag/${local.tag}" = var.names }
  gives_our_tag = { "aws:RequestTag/${local.tag}" = var.names }

  of_our_functions = { StringLike = { "lambda:FunctionArn" = local.functions } }
}

locals {
  read = [
    { Action = ["apigateway:GET"], Resource = local.apis },
    { Action = ["cloudwatch:GetDashboard"], Resource = local.dashboards },
    { Action = ["cloudwatch:ListTagsForResource"], Resource = [local.alarms] },
    # The provider asks by name, but AWS checks these two actions for all alarms and for all log groups.
    { Action = ["cloudwatch:DescribeAlarms"], Resource = ["arn:${local.partition}:cloudwatch:${local.here}:alarm:*"] },
    { Action = ["logs:DescribeLogGroups"], Resource = ["arn:${local.partition}:logs:${local.here}:log-group:*"] },
    { Action = ["logs:ListTagsForResource"], Resource = [local.log_groups] },
    {
      Action   = ["dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource"]
      Resource = [local.tables]
    },
    { Action = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"], Resource = [local.roles] },
    {
      Action = [
        "lambda:GetFunction", "lambda:GetFunctionCodeSigningConfig", "lambda:GetFunctionConfiguration",
        "lambda:GetFunctionRecursionConfig", "lambda:GetPolicy", "lambda:ListTags", "lambda:ListVersionsByFunction",
      ]
      Resource = [local.functions]
    },
    { Action = ["lambda:GetEventSourceMapping", "lambda:ListTags"], Resource = [local.event_sources] },
    { Action = ["sqs:GetQueueAttributes", "sqs:ListQueueTags"], Resource = [local.queues] },
    { Action = ["s3:ListBucket"], Resource = [var.state.bucket.arn] },
    { Action = ["s3:GetObject"], Resource = local.states },
  ]

  write = [
    { Action = ["apigateway:POST"], Resource = ["${local.api_gateway}/apis"], Condition = { StringEquals = local.gives_our_tag } },
    {
      Action    = ["apigateway:DELETE", "apigateway:PATCH", "apigateway:POST", "apigateway:TagResource", "apigateway:UntagResource"]
      Resource  = ["${local.api_gateway}/apis/*"]
      Condition = { StringEqualsIfExists = merge(local.has_our_tag, local.gives_our_tag) }
    },
    { Action = ["apigateway:POST", "apigateway:TagResource"], Resource = local.api_tags, Condition = { StringEqualsIfExists = merge(local.has_our_tag, local.gives_our_tag) } },
    {
      Action    = ["apigateway:DELETE", "apigateway:UntagResource"]
      Resource  = local.api_tags
      Condition = { StringEqualsIfExists = local.has_our_tag, "ForAllValues:StringNotEquals" = { "aws:TagKeys" = local.tag } }
    },
    { Action = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"], Resource = [local.alarms] },
    { Action = ["cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard"], Resource = local.dashboards },
    {
      Action   = ["logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource"]
      Resource = [local.log_groups]
    },
    {
      Action = [
        "dynamodb:CreateTable", "dynamodb:DeleteTable", "dynamodb:TagResource", "dynamodb:UntagResource", "dynamodb:UpdateContinuousBackups",
        "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive",
      ]
      Resource = [local.tables]
    },
    {
      Action   = ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:ListInstanceProfilesForRole", "iam:TagRole", "iam:UntagRole"]
      Resource = [local.roles]
    },
    merge(
      { Action = concat(["iam:CreateRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"], var.required_boundary == null ? [] : ["iam:PutRolePermissionsBoundary"]), Resource = [local.roles] },
      var.required_boundary == null ? {} : { Condition = { StringEquals = { "iam:PermissionsBoundary" = var.required_boundary } } },
    ),
    { Action = ["iam:PassRole"], Resource = [local.roles], Condition = { StringEquals = { "iam:PassedToService" = "lambda.amazonaws.com" } } },
    {
      Action = [
        "lambda:AddPermission", "lambda:CreateFunction", "lambda:DeleteFunction", "lambda:DeleteFunctionConcurrency",
        "lambda:PutFunctionConcurrency", "lambda:PutFunctionRecursionConfig", "lambda:RemovePermission", "lambda:TagResource",
        "lambda:UntagResource", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
      ]
      Resource = [local.functions]
    },
    # A new mapping has no id yet.
    { Action = ["lambda:CreateEventSourceMapping"], Resource = ["*"], Condition = local.of_our_functions },
    { Action = ["lambda:DeleteEventSourceMapping", "lambda:UpdateEventSourceMapping"], Resource = [local.event_sources], Condition = local.of_our_functions },
    { Action = ["lambda:TagResource", "lambda:UntagResource"], Resource = [local.event_sources] },
    { Action = ["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue"], Resource = [local.queues] },
    { Action = ["s3:PutObject"], Resource = local.states },
    # The lock is an object beside the state.
    { Action = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], Resource = [for state in local.states : "${state}.tflock"] },
  ]

  states     = [for key in sort(var.state.keys) : "${var.state.bucket.arn}/${key}"]
  more       = { for access, statements in var.statements : access => [for s in statements : { Action = s.actions, Resource = s.resources }] }
  reads      = concat(local.read, local.more.read)
  writes     = concat(local.write, local.more.write)
  statements = [for s in concat(local.reads, [for s in local.writes : s if var.access == "deploy"]) : merge({ Effect = "Allow" }, s)]
}
