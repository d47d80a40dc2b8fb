# Two columns of graphs. Each graph has the metrics that answer one question.
resource "aws_cloudwatch_dashboard" "this" {
  count = var.create && var.dashboard ? 1 : 0

  dashboard_name = "${var.name}${local.global_suffix}"
  dashboard_body = jsonencode({
    widgets = [for number, graph in [for graph in [
      { title = "Connects and messages", stat = "Sum", metrics = [for m in ["ConnectCount", "MessageCount"] : ["AWS/ApiGateway", m, "ApiId", local.api.id, "Stage", var.stage]] },
      { title = "Errors", stat = "Sum", metrics = [for m in ["ClientError", "IntegrationError", "ExecutionError"] : ["AWS/ApiGateway", m, "ApiId", local.api.id, "Stage", var.stage]] },
      { title = "Integration latency (p50), ms", stat = "p50", metrics = [["AWS/ApiGateway", "IntegrationLatency", "ApiId", local.api.id, "Stage", var.stage]] },
      { title = "Integration latency (p99), ms", stat = "p99", metrics = [["AWS/ApiGateway", "IntegrationLatency", "ApiId", local.api.id, "Stage", var.stage]] },
      { title = "Functions: duration (p99), ms", stat = "p99", metrics = [for f in values(local.lambda_names) : ["AWS/Lambda", "Duration", "FunctionName", f]] },
      { title = "Functions: at once", stat = "Maximum", metrics = [for f in values(local.lambda_names) : ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", f]] },
      { title = "Functions: errors", stat = "Sum", metrics = [for f in values(local.lambda_names) : ["AWS/Lambda", "Errors", "FunctionName", f]] },
      { title = "Functions: throttles", stat = "Sum", metrics = [for f in values(local.lambda_names) : ["AWS/Lambda", "Throttles", "FunctionName", f]] },
      { title = "Table: units used", stat = "Sum", metrics = [for m in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] : ["AWS/DynamoDB", m, "TableName", try(local.table.name, null)] if local.table != null] },
      { title = "Table: throttled", stat = "Sum", metrics = [for m in ["ReadThrottleEvents", "WriteThrottleEvents"] : ["AWS/DynamoDB", m, "TableName", try(local.table.name, null)] if local.table != null] },
      { title = "Connections opened and closed", stat = "Sum", metrics = [for m in ["ConnectionsOpened", "ConnectionsClosed"] : [local.metrics_namespace, m] if var.metrics] },
      { title = "Posts, by what became of them", stat = "Sum", metrics = [for m in ["Delivered", "Gone", "Slow", "Failed", "RateLimited"] : [local.metrics_namespace, m] if var.metrics] },
      { title = "Messages", stat = "Sum", metrics = [for m in ["Messages"] : [local.metrics_namespace, m] if var.metrics] },
      { title = "Delivery time (p99), ms", stat = "p99", metrics = [for m in ["DeliveryTime"] : [local.metrics_namespace, m] if var.metrics] },
      ] : graph if length(graph.metrics) > 0] : {
      type   = "metric"
      x      = number % 2 * 12
      y      = floor(number / 2) * 6
      width  = 12
      height = 6
      # The Region is in every ARN: arn:PARTITION:execute-api:REGION:…
      properties = merge(graph, { region = split(":", local.api.execution_arn)[3], view = "timeSeries", period = 60 })
    }]
  })
}
