resource "aws_lambda_function" "this" {
  count = var.create ? 1 : 0

  function_name     = local.function_name
  role              = aws_iam_role.this[0].arn
  filename          = var.package
  source_code_hash  = var.package == null ? null : try(filebase64sha256(var.package), null) # Destroying needs no package.
  s3_bucket         = try(var.s3.bucket, null)
  s3_key            = try(var.s3.key, null)
  s3_object_version = try(var.s3.version, null)
  architectures     = [var.architecture]
  runtime           = "provided.al2023"
  handler           = "bootstrap"
  memory_size       = var.memory_size
  timeout           = var.timeout
  tags              = var.tags

  environment {
    variables = merge(
      {
        CONNECTION_TABLE                         = var.websocket.table_name
        CONNECTION_SHARDS                        = tostring(var.websocket.shards)
        AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI = var.websocket.management_endpoint
        DELIVERY_QUEUE_URL                       = aws_sqs_queue.tasks["deliveries"].url # For retries, announcements and what is gone.
        DELIVERY_QUEUE_ARN                       = aws_sqs_queue.tasks["deliveries"].arn # Tells the tasks in this queue from publications.
        BROADCAST_QUEUE_URL                      = aws_sqs_queue.tasks["broadcasts"].url # For the ranges of a large broadcast.
        BROADCAST_QUEUE_ARN                      = aws_sqs_queue.tasks["broadcasts"].arn
        BROADCAST_CONCURRENCY                    = tostring(var.broadcasts.concurrency)
        BROADCAST_RATE_LIMIT                     = tostring(var.broadcasts.rate_limit)
      },
      { for shards in var.websocket.everyone_shards[*] : "EVERYONE_SHARDS" => tostring(shards) },
      { for shards in var.websocket.former_shards[*] : "FORMER_SHARDS" => tostring(shards) },
      { for namespace in var.websocket.metrics_namespace[*] : "METRICS_NAMESPACE" => namespace },
      merge([for history in var.websocket.history[*] : { HISTORY_TABLE = history.table_name, HISTORY_SECONDS = tostring(history.seconds) }]...),
      var.environment,
    )
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.this[0].name
    log_format            = "JSON"
    application_log_level = var.logging.function_level
    system_log_level      = "INFO" # This level includes each invocation's duration and memory.
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  # Without its policies the first invocations would fail.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy.connections, aws_iam_role_policy.history]

  lifecycle {
    precondition {
      condition     = var.package == null ? true : fileexists(var.package)
      error_message = "There is no package at ${coalesce(var.package, "?")}. Build it first (`make build`), or correct the path."
    }
  }
}

# What one invocation has no time for goes on in another one, through a queue. Lambda takes this for a loop, and would stop it
# after some 16 rounds. The loop ends by itself: each round gets further, and retries are counted.
resource "aws_lambda_function_recursion_config" "this" {
  count = var.create ? 1 : 0

  function_name  = aws_lambda_function.this[0].function_name
  recursive_loop = "Allow"
}

resource "aws_cloudwatch_log_group" "this" {
  count = var.create ? 1 : 0

  name              = "/aws/lambda/${local.function_name}"
  retention_in_days = var.logging.retention_days
  kms_key_id        = one(var.logging.kms_key[*].arn)
  tags              = var.tags
}

# Lambda takes messages from the queue in batches. Only the messages that the function reports as failed return to the queue.
resource "aws_lambda_event_source_mapping" "this" {
  count = var.create ? 1 : 0

  event_source_arn                   = aws_sqs_queue.this[0].arn
  function_name                      = aws_lambda_function.this[0].arn
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = var.tags

  scaling_config {
    maximum_concurrency = var.maximum_concurrency - local.delivery_concurrency
  }
}

# Each queue of tasks has its own mapping, so that a new publication does not wait behind retries or large broadcasts of others.
resource "aws_lambda_event_source_mapping" "tasks" {
  for_each = local.task_queues

  event_source_arn        = aws_sqs_queue.tasks[each.key].arn
  function_name           = aws_lambda_function.this[0].arn
  batch_size              = each.value.batch_size
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = var.tags

  scaling_config {
    maximum_concurrency = each.value.concurrency
  }
}

locals {
  # Publications and deliveries have half each. Of an odd number, publications have the greater half.
  delivery_concurrency = floor(var.maximum_concurrency / 2)
}
