output "queue_url" {
  description = "The queue's URL: what is sent there is published."
  value       = one(aws_sqs_queue.this[*].url)
}

output "queue_arn" {
  description = "The queue's ARN: for the target of an EventBridge rule, for example."
  value       = one(aws_sqs_queue.this[*].arn)
}

output "send_policy" {
  description = "The IAM policy document for whoever sends: for a role of another stack."
  value       = var.create ? jsonencode({ Version = "2012-10-17", Statement = local.send_grants }) : null
}

output "send_statements" {
  description = "The same as `policy_statements` of a function of `websocket-api` takes it."
  value       = local.send_statements
}

output "delivery_queue_url" {
  description = "The URL of the queue with what functions leave to the publisher: for `send`, `subscribe` and `disconnect`, as `DELIVERY_QUEUE_URL`."
  value       = one(aws_sqs_queue.deliveries[*].url)
}

output "delivery_statements" {
  description = "What it takes to leave something there, as `policy_statements` takes it: for these functions, and nobody else."
  value       = local.delivery_statements
}

output "dead_letter_queue_url" {
  description = "The URL of the queue with what could not be published or delivered."
  value       = one(aws_sqs_queue.dead_letters[*].url)
}

output "dead_letter_queue_arn" {
  description = "The ARN of that queue: to move its messages back, each to the queue that it was in, once the cause is gone."
  value       = one(aws_sqs_queue.dead_letters[*].arn)
}

output "function" {
  description = "The function: its `arn`, `name`, `role_name`, `role_arn` and `log_group`; null where nothing is created."
  value = one([for f in aws_lambda_function.this : {
    arn       = f.arn
    name      = f.function_name
    role_name = aws_iam_role.this[0].name
    role_arn  = aws_iam_role.this[0].arn
    log_group = aws_cloudwatch_log_group.this[0].name
  }])
}

output "alarm_arns" {
  description = "The ARNs of the alarms, by name."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.arn }
}
