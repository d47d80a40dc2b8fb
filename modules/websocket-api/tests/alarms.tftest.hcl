# Alarms and the dashboard: none, or a sound set by one switch.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  stage     = "dev"
  functions = { f = { package = "tests/package.zip" }, elsewhere = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:g" } }
  routes    = { a = { function = "f" }, b = { function = "elsewhere" } }
}

run "by_default_there_are_none" {
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0 && length(aws_cloudwatch_dashboard.this) == 0 && output.dashboard_name == null && length(output.alarm_arns) == 0 && output.metrics_namespace == null
    error_message = jsonencode(keys(aws_cloudwatch_metric_alarm.this))
  }
}

run "one_switch_makes_a_sound_set" {
  variables {
    alarms = {}
  }

  assert {
    condition = { for key, a in aws_cloudwatch_metric_alarm.this : key =>
      "${a.namespace} ${a.metric_name} ${coalesce(a.statistic, a.extended_statistic)} >= ${a.threshold} in ${a.evaluation_periods} x ${a.period} s, ${join(",", values(a.dimensions))}"
      } == {
      client-errors        = "AWS/ApiGateway ClientError Sum >= 100 in 1 x 300 s, a1b2c3d4e5,dev"
      execution-errors     = "AWS/ApiGateway ExecutionError Sum >= 5 in 1 x 300 s, a1b2c3d4e5,dev"
      function-f-errors    = "AWS/Lambda Errors Sum >= 1 in 1 x 300 s, chat-f"
      function-f-throttles = "AWS/Lambda Throttles Sum >= 1 in 1 x 300 s, chat-f"
      index-reads          = "AWS/DynamoDB ReadThrottleEvents Sum >= 10 in 1 x 300 s, by-connection,chat-connections"
      index-writes         = "AWS/DynamoDB WriteThrottleEvents Sum >= 10 in 1 x 300 s, by-connection,chat-connections"
      integration-errors   = "AWS/ApiGateway IntegrationError Sum >= 5 in 1 x 300 s, a1b2c3d4e5,dev"
      integration-latency  = "AWS/ApiGateway IntegrationLatency p99 >= 5000 in 3 x 300 s, a1b2c3d4e5,dev"
      table-reads          = "AWS/DynamoDB ReadThrottleEvents Sum >= 10 in 1 x 300 s, chat-connections"
      table-writes         = "AWS/DynamoDB WriteThrottleEvents Sum >= 10 in 1 x 300 s, chat-connections"
    }
    error_message = jsonencode({ for key, a in aws_cloudwatch_metric_alarm.this : key => [a.metric_name, a.threshold, a.dimensions] })
  }

  assert {
    condition     = alltrue([for key, a in aws_cloudwatch_metric_alarm.this : a.treat_missing_data == "notBreaching" && a.alarm_name == "chat-${key}"])
    error_message = "where nothing happens, nothing is wrong"
  }

  assert {
    condition     = keys(output.alarm_arns) == keys(aws_cloudwatch_metric_alarm.this)
    error_message = jsonencode(output.alarm_arns)
  }
}

run "thresholds_and_actions_are_the_callers" {
  variables {
    alarms = { actions = ["arn:aws:sns:eu-central-1:123456789012:ops"], client_errors = 7, integration_latency_ms = 900 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["client-errors"].threshold == 7 && aws_cloudwatch_metric_alarm.this["integration-latency"].threshold == 900 && aws_cloudwatch_metric_alarm.this["function-f-errors"].threshold == 1
    error_message = "a threshold is not what was asked for"
  }

  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.this : a.alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:ops"]) && a.ok_actions == a.alarm_actions])
    error_message = "the topic hears when an alarm begins, and when it ends"
  }
}

run "the_dashboard_shows_the_api_its_functions_and_its_table" {
  variables {
    dashboard = true
  }

  assert {
    condition     = aws_cloudwatch_dashboard.this[0].dashboard_name == "chat" && output.dashboard_name == "chat"
    error_message = "its name says whose it is"
  }

  assert {
    condition = toset(flatten([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [for m in w.properties.metrics : m[1]]])) == toset([
      "ConnectCount", "MessageCount", "ClientError", "IntegrationError", "ExecutionError", "IntegrationLatency", "Duration",
      "ConcurrentExecutions", "Errors", "Throttles", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents",
    ])
    error_message = aws_cloudwatch_dashboard.this[0].dashboard_body
  }

  assert {
    condition     = alltrue([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : w.properties.region == "eu-central-1"])
    error_message = "a graph of another Region is empty"
  }
}

run "without_functions_no_graph_is_empty" {
  variables {
    functions = {}
    routes    = { ping = { mock = "pong" } }
    dashboard = true
    alarms    = {}
  }

  assert {
    condition     = alltrue([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : length(w.properties.metrics) > 0])
    error_message = aws_cloudwatch_dashboard.this[0].dashboard_body
  }
}

run "what_the_functions_count_is_shown_where_they_count" {
  variables {
    dashboard = true
    metrics   = true
  }

  assert {
    condition     = aws_lambda_function.this["f"].environment[0].variables["METRICS_NAMESPACE"] == "WebSocket/chat"
    error_message = "the functions do not count"
  }

  assert {
    condition     = output.metrics_namespace == "WebSocket/chat"
    error_message = "functions outside of the module count elsewhere"
  }

  assert {
    condition = toset(flatten([for w in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [for m in w.properties.metrics : m[1] if m[0] == "WebSocket/chat"]])) == toset([
      "ConnectionsOpened", "ConnectionsClosed", "Delivered", "Gone", "Slow", "Failed", "RateLimited", "Messages", "DeliveryTime",
    ])
    error_message = aws_cloudwatch_dashboard.this[0].dashboard_body
  }
}

run "an_alarm_whose_threshold_is_null_is_not_made" {
  variables {
    alarms = {
      client_errors          = null
      execution_errors       = null
      function_errors        = null
      integration_errors     = null
      integration_latency_ms = null
      table_throttles        = null
    }
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["function-f-throttles"] && aws_cloudwatch_metric_alarm.this["function-f-throttles"].threshold == 1
    error_message = jsonencode(keys(aws_cloudwatch_metric_alarm.this))
  }
}
