locals {
  api_dimensions   = { ApiId = try(local.api.id, null), Stage = var.stage }
  table_dimensions = { TableName = try(local.table.name, null) }

  index_dimensions = merge(local.table_dimensions, { GlobalSecondaryIndexName = local.connection_index })

  alarm_actions = try(coalescelist(var.alarms.actions), [])
  alarm_defaults = {
    integration_errors     = 5
    client_errors          = 100
    execution_errors       = 5
    integration_latency_ms = 5000
    function_errors        = 1
    function_throttles     = 1
    table_throttles        = 10
  }

  # Without a threshold there is no alarm.
  alarms = { for key, alarm in local.possible_alarms : key => alarm if alarm.threshold != null }

  # The list holds the thresholds, or is empty. So there is one set of alarms, or none.
  possible_alarms = merge([for thresholds in var.create && var.alarms != null ? [merge(local.alarm_defaults, var.alarms)] : [] : merge(
    {
      integration-errors = {
        metric    = ["AWS/ApiGateway", "IntegrationError", local.api_dimensions]
        threshold = thresholds.integration_errors
        about     = "Functions or other integrations answer 4xx or 5xx."
      }
      client-errors = {
        metric    = ["AWS/ApiGateway", "ClientError", local.api_dimensions]
        threshold = thresholds.client_errors
        about     = "API Gateway refuses requests: throttled, unauthorized, or not what a request model asks for."
      }
      execution-errors = {
        metric    = ["AWS/ApiGateway", "ExecutionError", local.api_dimensions]
        threshold = thresholds.execution_errors
        about     = "API Gateway cannot call an integration."
      }
      integration-latency = {
        metric     = ["AWS/ApiGateway", "IntegrationLatency", local.api_dimensions]
        percentile = "p99"
        periods    = 3
        threshold  = thresholds.integration_latency_ms
        about      = "Integrations are slow."
      }
    },
    # If there is a table.
    { for key, alarm in {
      table-reads = {
        metric    = ["AWS/DynamoDB", "ReadThrottleEvents", local.table_dimensions]
        threshold = thresholds.table_throttles
        about     = "The connection table refuses reads. More shards spread a channel over more partitions."
      }
      table-writes = {
        metric    = ["AWS/DynamoDB", "WriteThrottleEvents", local.table_dimensions]
        threshold = thresholds.table_throttles
        about     = "The connection table refuses writes. More shards spread a channel over more partitions."
      }
      index-reads = {
        metric    = ["AWS/DynamoDB", "ReadThrottleEvents", local.index_dimensions]
        threshold = thresholds.table_throttles
        about     = "The connection table's index refuses reads: disconnects fail."
      }
      index-writes = {
        metric    = ["AWS/DynamoDB", "WriteThrottleEvents", local.index_dimensions]
        threshold = thresholds.table_throttles
        about     = "The connection table's index refuses writes, and with it the table."
      }
    } : key => alarm if local.table != null },
    merge([for table in aws_dynamodb_table.history : {
      history-reads = {
        metric    = ["AWS/DynamoDB", "ReadThrottleEvents", { TableName = table.name }]
        threshold = thresholds.table_throttles
        about     = "The history refuses reads: clients that come back do not hear what they missed."
      }
      history-writes = {
        metric    = ["AWS/DynamoDB", "WriteThrottleEvents", { TableName = table.name }]
        threshold = thresholds.table_throttles
        about     = "The history refuses writes, and with it messages."
      }
    }]...),
    { for key, name in local.lambda_names : "function-${key}-errors" => {
      metric    = ["AWS/Lambda", "Errors", { FunctionName = name }]
      threshold = thresholds.function_errors
      about     = "The function ${name} fails."
    } },
    { for key, name in local.lambda_names : "function-${key}-throttles" => {
      metric    = ["AWS/Lambda", "Throttles", { FunctionName = name }]
      threshold = thresholds.function_throttles
      about     = "The function ${name} is refused for want of concurrency."
    } },
  )]...)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.metric[0]
  metric_name         = each.value.metric[1]
  dimensions          = each.value.metric[2]
  statistic           = can(each.value.percentile) ? null : "Sum"
  extended_statistic  = try(each.value.percentile, null)
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = try(each.value.periods, 1)
  treat_missing_data  = "notBreaching" # No data means that nothing happened, not a fault.
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}
