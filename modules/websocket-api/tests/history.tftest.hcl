# The history: nothing unless it is asked for; then a table, and for each function what it says.

mock_provider "aws" {
  source = "./tests/aws"
}

override_resource {
  target = aws_dynamodb_table.history
  values = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/chat-history" }
}

variables {
  name = "chat"
  functions = {
    send      = { package = "tests/package.zip", connections = ["read"], history = ["write"] }
    subscribe = { package = "tests/package.zip", history = ["read"] }
    other     = { package = "tests/package.zip" }
  }
  routes  = { "$default" = { function = "send" } }
  history = {}
  alarms  = {}
}

run "unless_it_is_asked_for_nothing_is_kept" {
  variables {
    history   = null
    functions = { send = { package = "tests/package.zip", connections = ["read"] } }
  }

  assert {
    condition     = length(aws_dynamodb_table.history) == 0 && output.history == null
    error_message = "a table that nobody asked for"
  }

  assert {
    condition     = length([for key in keys(aws_cloudwatch_metric_alarm.this) : key if startswith(key, "history")]) == 0
    error_message = jsonencode(keys(aws_cloudwatch_metric_alarm.this))
  }

  assert {
    condition     = keys(aws_lambda_function.this["send"].environment[0].variables) == tolist(["CONNECTION_SHARDS", "CONNECTION_TABLE"])
    error_message = jsonencode(aws_lambda_function.this["send"].environment[0].variables)
  }
}

run "a_channel_is_a_partition_in_order_of_numbers_and_messages_expire" {
  assert {
    condition = (
      aws_dynamodb_table.history[0].name == "chat-history"
      && aws_dynamodb_table.history[0].hash_key == "channel"
      && aws_dynamodb_table.history[0].range_key == "seq"
      && aws_dynamodb_table.history[0].billing_mode == "PAY_PER_REQUEST"
      && aws_dynamodb_table.history[0].ttl[0].enabled
      && aws_dynamodb_table.history[0].ttl[0].attribute_name == "expiresAt"
    )
    error_message = "a replay queries a range of one channel"
  }

  assert {
    condition = (
      !aws_dynamodb_table.history[0].point_in_time_recovery[0].enabled
      && !aws_dynamodb_table.history[0].deletion_protection_enabled
      && !aws_dynamodb_table.history[0].server_side_encryption[0].enabled
    )
    error_message = "what costs, or holds up a destroy, is not there unasked"
  }
}

run "each_function_may_do_what_it_says" {
  assert {
    condition = { for key, p in aws_iam_role_policy.function : key => [for s in jsondecode(p.policy).Statement : s if startswith(s.Action[0], "dynamodb:")] } == {
      other = []
      send = [
        { Effect = "Allow", Action = ["dynamodb:Query"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections"] },
        { Effect = "Allow", Action = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/chat-history"] },
      ]
      subscribe = [{ Effect = "Allow", Action = ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/chat-history"] }]
    }
    error_message = jsonencode({ for key, p in aws_iam_role_policy.function : key => p.policy })
  }

  assert {
    condition = aws_lambda_function.this["subscribe"].environment[0].variables == tomap({
      HISTORY_TABLE = "chat-history", HISTORY_SECONDS = "86400", HISTORY_MESSAGES = "500"
    })
    error_message = jsonencode(aws_lambda_function.this["subscribe"].environment[0].variables)
  }

  assert {
    condition     = length(aws_lambda_function.this["other"].environment) == 0 && aws_lambda_function.this["send"].environment[0].variables["HISTORY_TABLE"] == "chat-history"
    error_message = "what it may not use it does not know"
  }
}

run "protected_by_a_key_of_ones_own" {
  variables {
    history = {
      seconds                = 3600
      messages               = 50
      kms_key                = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" }
      point_in_time_recovery = true
      deletion_protection    = true
    }
    connection_table = { kms_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" } }
  }

  assert {
    condition = (
      aws_dynamodb_table.history[0].server_side_encryption[0].enabled
      && aws_dynamodb_table.history[0].server_side_encryption[0].kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/k"
      && aws_dynamodb_table.history[0].point_in_time_recovery[0].enabled
      && aws_dynamodb_table.history[0].deletion_protection_enabled
    )
    error_message = jsonencode(aws_dynamodb_table.history[0])
  }

  # Once where both tables have it, and by way of DynamoDB alone.
  assert {
    condition = { for key, p in aws_iam_role_policy.function : key => [for s in jsondecode(p.policy).Statement : s if startswith(s.Action[0], "kms:")] } == {
      other     = []
      send      = [{ Effect = "Allow", Action = ["kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:123456789012:key/k"], Condition = { StringLike = { "kms:ViaService" = "dynamodb.*" } } }]
      subscribe = [{ Effect = "Allow", Action = ["kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:123456789012:key/k"], Condition = { StringLike = { "kms:ViaService" = "dynamodb.*" } } }]
    }
    error_message = jsonencode({ for key, p in aws_iam_role_policy.function : key => p.policy })
  }

  assert {
    condition = aws_lambda_function.this["subscribe"].environment[0].variables == tomap({
      HISTORY_TABLE = "chat-history", HISTORY_SECONDS = "3600", HISTORY_MESSAGES = "50"
    })
    error_message = jsonencode(aws_lambda_function.this["subscribe"].environment[0].variables)
  }

  assert {
    condition = merge(output.history, { policies = { for intent, policy in output.history.policies : intent => [for s in jsondecode(policy).Statement : "${join(" ", s.Action)} ${s.Resource[0]}"] } }) == {
      table_name = "chat-history"
      seconds    = 3600
      messages   = 50
      policies = {
        read  = ["dynamodb:Query dynamodb:GetItem dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/chat-history", "kms:Decrypt arn:aws:kms:eu-central-1:123456789012:key/k"]
        write = ["dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/chat-history", "kms:Decrypt arn:aws:kms:eu-central-1:123456789012:key/k"]
      }
    }
    error_message = jsonencode(output.history)
  }
}

run "a_history_that_refuses_is_an_alarm" {
  assert {
    condition = { for key, a in aws_cloudwatch_metric_alarm.this : key => "${a.metric_name} >= ${a.threshold}, ${join(",", values(a.dimensions))}" if startswith(key, "history") } == {
      history-reads  = "ReadThrottleEvents >= 10, chat-history"
      history-writes = "WriteThrottleEvents >= 10, chat-history"
    }
    error_message = jsonencode(keys(aws_cloudwatch_metric_alarm.this))
  }
}
