locals {
  made_functions = { for key, f in var.functions : key => f if f.package != null }
  # Told apart by the package, which is known at plan; an arn may not be yet.
  existing_functions = { for key, f in var.functions : key => f if f.package == null }
  lambda_names       = { for key in keys(local.made_functions) : key => "${var.name}-${key}" }

  # arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
  arn_parts = { for key, f in local.existing_functions : key => split(":", f.arn) }

  function_arns = merge(
    { for key, f in aws_lambda_function.this : key => f.arn },
    { for key, f in local.existing_functions : key => f.arn },
  )
  function_names = merge(
    { for key, f in aws_lambda_function.this : key => f.function_name },
    { for key, parts in local.arn_parts : key => join(":", slice(parts, 0, 7)) },
  )
  qualifiers = merge(
    { for key in keys(local.made_functions) : key => null },
    { for key, parts in local.arn_parts : key => try(parts[7], null) },
  )
  invoke_arns = merge(
    { for key, f in aws_lambda_function.this : key => f.invoke_arn },
    { for key, parts in local.arn_parts : key => "arn:${parts[1]}:apigateway:${parts[3]}:lambda:path/2015-03-31/functions/${join(":", parts)}/invocations" },
  )
}

resource "aws_lambda_function" "this" {
  for_each = local.made_functions

  function_name    = local.lambda_names[each.key]
  role             = aws_iam_role.function[each.key].arn
  filename         = each.value.package
  source_code_hash = try(filebase64sha256(each.value.package), null) # To destroy, no package is needed.
  architectures    = [each.value.architecture]
  runtime          = each.value.runtime
  handler          = each.value.handler
  memory_size      = each.value.memory_size
  timeout          = each.value.timeout
  tags             = var.tags

  environment {
    variables = merge(
      length(each.value.connections) > 0 ? { CONNECTION_TABLE = aws_dynamodb_table.connections.name } : {},
      # The SDKs' own name for the endpoint: a client of @connections needs no code to find it.
      length(each.value.manage_connections) > 0 ? { AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI = local.management_endpoint } : {},
      each.value.environment,
    )
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    log_format            = "JSON"
    application_log_level = var.log_level
    system_log_level      = "INFO" # With each invocation's duration and memory.
  }

  # Without its policy the first invocations would fail.
  depends_on = [aws_iam_role_policy.function]

  lifecycle {
    precondition {
      condition     = fileexists(each.value.package)
      error_message = "There is no package at ${each.value.package}, for the function \"${each.key}\". Build it first (`make build`), or correct the path."
    }
  }
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.made_functions

  name              = "/aws/lambda/${local.lambda_names[each.key]}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}
