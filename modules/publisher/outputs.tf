output "queue_url" {
  description = "The queue's URL. Messages that are sent there are published."
  value       = one(aws_sqs_queue.this[*].url)
}

output "queue_arn" {
  description = "The queue's ARN, for the target of an EventBridge rule, for example."
  value       = one(aws_sqs_queue.this[*].arn)
}

output "send_policy" {
  description = "The IAM policy document for senders: for a role of another stack."
  value       = var.create ? jsonencode({ Version = "2012-10-17", Statement = local.send_grants }) : null
}

output "send_statements" {
  description = "The grants of `send_policy`, in the form of `policy_statements` of a function of `websocket-api`."
  value       = local.send_statements
}

output "delivery_queue_url" {
  description = "The URL of the delivery queue, with the tasks that functions leave to the publisher. For `send`, `subscribe` and `disconnect`, as `DELIVERY_QUEUE_URL`."
  value       = one([for key, queue in aws_sqs_queue.tasks : queue.url if key == "deliveries"])
}

output "delivery_statements" {
  description = "The grants to send to the delivery queue, in the form of `policy_statements`: for these functions, and nobody else."
  value       = local.delivery_statements
}

output "dead_letter_queue_url" {
  description = "The URL of the dead-letter queue, with the messages that could not be published or delivered."
  value       = one(aws_sqs_queue.dead_letters[*].url)
}

output "dead_letter_queue_arn" {
  description = "The ARN of the dead-letter queue. With it, its messages can be moved back, each to its source queue, once the cause is gone."
  value       = one(aws_sqs_queue.dead_letters[*].arn)
}

output "function" {
  description = "The function: its `arn`, `name`, `role_name`, `role_arn` and `log_group`; null if nothing is created."
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
