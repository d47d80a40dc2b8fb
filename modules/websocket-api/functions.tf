locals {
  # Only values that are known at plan distinguish the two kinds. An arn may be unknown then, and so may the fields of an
  # object, but it is known whether there is an object.
  made_functions     = { for key, f in var.functions : key => f if var.create && (f.package != null || f.zip != null || f.s3 != null) }
  existing_functions = { for key, f in var.functions : key => f if var.create && f.package == null && f.zip == null && f.s3 == null }
  warm_functions     = { for key, f in local.made_functions : key => f if f.provisioned_concurrency > 0 }
  lambda_names       = { for key in keys(local.made_functions) : key => "${var.name}-${key}" }
  warm_alias         = "live"

  # arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
  arn_parts = { for key, f in local.existing_functions : key => split(":", f.arn) }

  function_arns = merge(
    { for key, f in aws_lambda_function.this : key => f.arn },
    { for key, alias in aws_lambda_alias.warm : key => alias.arn },
    { for key, f in local.existing_functions : key => f.arn },
  )
  function_names = merge(
    { for key, f in aws_lambda_function.this : key => f.function_name },
    { for key, parts in local.arn_parts : key => join(":", slice(parts, 0, 7)) },
  )
  qualifiers = merge(
    { for key in keys(local.made_functions) : key => contains(keys(local.warm_functions), key) ? local.warm_alias : null },
    { for key, parts in local.arn_parts : key => try(parts[7], null) },
  )
  invoke_arns = merge(
    { for key, f in aws_lambda_function.this : key => f.invoke_arn },
    { for key, alias in aws_lambda_alias.warm : key => alias.invoke_arn },
    { for key, parts in local.arn_parts : key => "arn:${parts[1]}:apigateway:${parts[3]}:lambda:path/2015-03-31/functions/${join(":", parts)}/invocations" },
  )
}

locals {
  environments = { for key, f in local.made_functions : key => merge(
    length(f.connections) > 0 ? { CONNECTION_TABLE = local.table.name, CONNECTION_SHARDS = tostring(var.connection_table.shards) } : {},
    length(f.connections) > 0 ? { for shards in var.connection_table.everyone_shards[*] : "EVERYONE_SHARDS" => tostring(shards) } : {},
    length(f.connections) > 0 ? { for shards in var.connection_table.former_shards[*] : "FORMER_SHARDS" => tostring(shards) } : {},
    length(f.history) > 0 ? local.history_variables : {},
    # The SDKs read the endpoint from this variable: a client of @connections finds it without code.
    length(f.manage_connections) > 0 ? { AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI = local.management_endpoint } : {},
    var.metrics ? { METRICS_NAMESPACE = local.metrics_namespace } : {},
    f.environment,
  ) }
  metrics_namespace = "WebSocket/${var.name}"
}

locals {
  zips = { for key, f in local.made_functions : key => f.zip != null ? f.zip : {
    path = f.package
    hash = f.package == null ? null : try(filebase64sha256(f.package), null) # Destroying needs no package.
  } }
}

resource "aws_lambda_function" "this" {
  for_each = local.made_functions

  function_name                  = local.lambda_names[each.key]
  role                           = aws_iam_role.function[each.key].arn
  filename                       = local.zips[each.key].path
  source_code_hash               = local.zips[each.key].hash
  s3_bucket                      = try(each.value.s3.bucket, null)
  s3_key                         = try(each.value.s3.key, null)
  s3_object_version              = try(each.value.s3.version, null)
  architectures                  = [each.value.architecture]
  runtime                        = each.value.runtime
  handler                        = each.value.handler
  memory_size                    = each.value.memory_size
  timeout                        = each.value.timeout
  layers                         = each.value.layers
  reserved_concurrent_executions = each.value.reserved_concurrency
  kms_key_arn                    = one(each.value.environment_key[*].arn)
  publish                        = each.value.provisioned_concurrency > 0
  tags                           = var.tags

  # Without variables there is no block. An empty block would be a change at every plan, and a new version if versions are
  # published.
  dynamic "environment" {
    for_each = [for variables in [local.environments[each.key]] : variables if length(variables) > 0]

    content {
      variables = environment.value
    }
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    log_format            = "JSON"
    application_log_level = coalesce(each.value.log_level, var.logging.function_level)
    system_log_level      = "INFO" # This level includes each invocation's duration and memory.
  }

  tracing_config {
    mode = each.value.tracing ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = each.value.vpc[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # Without its policy the first invocations would fail.
  depends_on = [aws_iam_role_policy.function]

  lifecycle {
    precondition {
      condition     = each.value.package == null ? true : fileexists(each.value.package)
      error_message = "There is no package at ${coalesce(each.value.package, "?")}, for the function \"${each.key}\". Build it first (`make build`), or correct the path."
    }
  }
}

# Concurrency is provisioned for a version. Routes invoke the version that the alias points at.
resource "aws_lambda_alias" "warm" {
  for_each = local.warm_functions

  name             = local.warm_alias
  function_name    = aws_lambda_function.this[each.key].function_name
  function_version = aws_lambda_function.this[each.key].version

  # If the function is no longer kept warm, its routes leave the alias before the alias is deleted.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lambda_provisioned_concurrency_config" "warm" {
  for_each = local.warm_functions

  function_name                     = aws_lambda_alias.warm[each.key].function_name
  qualifier                         = aws_lambda_alias.warm[each.key].name
  provisioned_concurrent_executions = each.value.provisioned_concurrency
}

resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = { for key, f in local.made_functions : key => f if f.failure_destination != null }

  function_name = aws_lambda_function.this[each.key].function_name
  qualifier     = local.qualifiers[each.key]

  destination_config {
    on_failure {
      destination = each.value.failure_destination.arn
    }
  }

  depends_on = [aws_lambda_alias.warm]
}
