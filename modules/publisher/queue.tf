# Publications wait in a queue that others write to. Tasks, which a function leaves to another invocation, wait in two queues of
# their own: the ranges of large broadcasts in one, all else in the other. Only this project's functions write to these, so nobody
# forges a task, and what is urgent waits behind nothing that is long. Messages that cannot be handled go to the dead-letter queue,
# for a person to look at.

# They have had other addresses. Without these blocks, queues would be replaced, with the tasks in them.
moved {
  from = aws_sqs_queue.deliveries[0]
  to   = aws_sqs_queue.tasks["deliveries"]
}

moved {
  from = aws_sqs_queue_redrive_policy.deliveries[0]
  to   = aws_sqs_queue_redrive_policy.tasks["deliveries"]
}

moved {
  from = aws_sqs_queue_policy.deliveries[0]
  to   = aws_sqs_queue_policy.tasks["deliveries"]
}

moved {
  from = aws_lambda_event_source_mapping.deliveries[0]
  to   = aws_lambda_event_source_mapping.tasks["deliveries"]
}

locals {
  function_name = "${var.name}-publish"
  queue_key     = one(var.queue.kms_key[*].arn)

  # Enough for a message of 128 KB, with the other fields of its record.
  max_message_size = 262144

  task_queues = var.create ? {
    deliveries = { batch_size = min(var.batch_size, 10), concurrency = local.delivery_concurrency } # A larger batch would wait for a batching window.
    broadcasts = { batch_size = 1, concurrency = var.broadcasts.concurrency }                       # Each range has a processor of its own.
  } : {}
}

resource "aws_sqs_queue" "this" {
  count = var.create ? 1 : 0

  name                       = local.function_name
  message_retention_seconds  = var.queue.retention_seconds
  max_message_size           = local.max_message_size
  visibility_timeout_seconds = 6 * var.timeout # As Lambda asks: a throttled batch is retried in this time.
  sqs_managed_sse_enabled    = var.queue.kms_key == null ? true : null
  kms_master_key_id          = local.queue_key
  tags                       = var.tags
}

resource "aws_sqs_queue" "tasks" {
  for_each = local.task_queues

  name                       = "${local.function_name}-${each.key}"
  message_retention_seconds  = var.queue.retention_seconds
  max_message_size           = local.max_message_size
  visibility_timeout_seconds = 6 * var.timeout
  sqs_managed_sse_enabled    = var.queue.kms_key == null ? true : null
  kms_master_key_id          = local.queue_key
  tags                       = var.tags
}

resource "aws_sqs_queue" "dead_letters" {
  count = var.create ? 1 : 0

  name                      = "${local.function_name}-dead-letters"
  message_retention_seconds = var.queue.dead_letter_retention_seconds
  max_message_size          = local.max_message_size
  sqs_managed_sse_enabled   = var.queue.kms_key == null ? true : null
  kms_master_key_id         = local.queue_key
  tags                      = var.tags
}

# The redrive policies and the queue policies are resources of their own. Terraform waits for half a minute until it is sure of
# a queue. Functions that only need the queue's URL are created meanwhile.
resource "aws_sqs_queue_redrive_policy" "this" {
  count = var.create ? 1 : 0

  queue_url      = aws_sqs_queue.this[0].id
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters[0].arn, maxReceiveCount = var.queue.max_receive_count })
}

resource "aws_sqs_queue_redrive_policy" "tasks" {
  for_each = aws_sqs_queue.tasks

  queue_url      = each.value.id
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters[0].arn, maxReceiveCount = var.queue.max_receive_count })
}

# No other queue can put its dead letters here. SQS knows the source queue of each dead letter.
resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  count = var.create ? 1 : 0

  queue_url            = aws_sqs_queue.dead_letters[0].id
  redrive_allow_policy = jsonencode({ redrivePermission = "byQueue", sourceQueueArns = concat(aws_sqs_queue.this[*].arn, local.task_queue_arns) })
}

# Functions and people send with their own policies. AWS services have none: the queue's policy allows those in `senders`.
resource "aws_sqs_queue_policy" "this" {
  count = var.create ? 1 : 0

  queue_url = aws_sqs_queue.this[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([merge(local.only_encrypted, { Resource = aws_sqs_queue.this[0].arn })], [for sender in var.senders : {
      Effect    = "Allow"
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.this[0].arn
      Principal = { Service = "${split(":", sender.arn)[2]}.amazonaws.com" }
      Condition = { ArnEquals = { "aws:SourceArn" = sender.arn } }
    }])
  })
}

# No service can send tasks, whatever `senders` says.
resource "aws_sqs_queue_policy" "tasks" {
  for_each = aws_sqs_queue.tasks

  queue_url = each.value.id
  policy    = jsonencode({ Version = "2012-10-17", Statement = [merge(local.only_encrypted, { Resource = each.value.arn })] })
}

resource "aws_sqs_queue_policy" "dead_letters" {
  count = var.create ? 1 : 0

  queue_url = aws_sqs_queue.dead_letters[0].id
  policy    = jsonencode({ Version = "2012-10-17", Statement = [merge(local.only_encrypted, { Resource = aws_sqs_queue.dead_letters[0].arn })] })
}

locals {
  only_encrypted = {
    Effect    = "Deny"
    Action    = "sqs:*"
    Principal = "*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }
}
