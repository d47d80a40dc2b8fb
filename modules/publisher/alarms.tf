locals {
  alarm_actions  = try(coalescelist(var.alarms.actions), [])
  alarm_defaults = { dead_letters = 1, oldest_message_seconds = 300 }

  # Without a threshold there is no alarm.
  alarms = { for key, alarm in local.possible_alarms : key => alarm if alarm.threshold != null }

  # The list holds the thresholds, or is empty. So there is one set of alarms, or none.
  possible_alarms = merge([for thresholds in var.create && var.alarms != null ? [merge(local.alarm_defaults, var.alarms)] : [] : {
    dead-letters = {
      metric    = "ApproximateNumberOfMessagesVisible"
      queue     = aws_sqs_queue.dead_letters[0].name
      threshold = thresholds.dead_letters
      about     = "Messages could not be published, and wait in the dead-letter queue."
    }
    oldest-message = {
      metric    = "ApproximateAgeOfOldestMessage"
      queue     = aws_sqs_queue.this[0].name
      threshold = thresholds.oldest_message_seconds
      about     = "Messages wait to be published: the function fails, or more comes than maximum_concurrency lets it handle."
    }
    oldest-delivery = {
      metric    = "ApproximateAgeOfOldestMessage"
      queue     = aws_sqs_queue.tasks["deliveries"].name
      threshold = thresholds.oldest_message_seconds
      about     = "Retries or announcements wait: the function fails, or more comes than maximum_concurrency lets it handle."
    }
    oldest-broadcast = {
      metric    = "ApproximateAgeOfOldestMessage"
      queue     = aws_sqs_queue.tasks["broadcasts"].name
      threshold = thresholds.oldest_message_seconds
      about     = "Large broadcasts wait: the function fails, or they are more than broadcasts.rate_limit and its concurrency let it post."
    }
  }]...)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.function_name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = "AWS/SQS"
  metric_name         = each.value.metric
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching" # No data means that nothing happened, not a fault.
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}
