# The connection table: keyed by channel, found by connection, expiring; or brought along.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  functions = { f = { package = "tests/package.zip", connections = ["read", "write", "delete"] } }
  routes    = { "$default" = { function = "f" } }
}

run "a_channel_is_a_partition_and_rows_expire" {
  assert {
    condition = (
      aws_dynamodb_table.connections[0].name == "chat-connections"
      && aws_dynamodb_table.connections[0].hash_key == "channel"
      && aws_dynamodb_table.connections[0].range_key == "connectionId"
      && aws_dynamodb_table.connections[0].billing_mode == "PAY_PER_REQUEST"
    )
    error_message = "a broadcast queries one channel"
  }

  assert {
    condition = [for i in aws_dynamodb_table.connections[0].global_secondary_index : [i.name, i.hash_key, i.range_key, i.projection_type]] == [
      ["by-connection", "connectionId", "channel", "KEYS_ONLY"],
    ]
    error_message = "a disconnect finds its rows by the index"
  }

  assert {
    condition     = aws_dynamodb_table.connections[0].ttl[0].enabled && aws_dynamodb_table.connections[0].ttl[0].attribute_name == "expiresAt"
    error_message = "what a disconnect missed expires"
  }

  assert {
    condition = (
      !aws_dynamodb_table.connections[0].point_in_time_recovery[0].enabled
      && !aws_dynamodb_table.connections[0].deletion_protection_enabled
      && !aws_dynamodb_table.connections[0].server_side_encryption[0].enabled
      && output.shards == 1
    )
    error_message = "what costs, or holds up a destroy, is not there unasked"
  }
}

run "protected_by_a_key_of_ones_own" {
  variables {
    connection_table = { kms_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" }, point_in_time_recovery = true, deletion_protection = true, shards = 4, everyone_shards = 16, former_shards = 8 }
  }

  assert {
    condition = (
      aws_dynamodb_table.connections[0].server_side_encryption[0].enabled
      && aws_dynamodb_table.connections[0].server_side_encryption[0].kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/k"
      && aws_dynamodb_table.connections[0].point_in_time_recovery[0].enabled
      && aws_dynamodb_table.connections[0].deletion_protection_enabled
    )
    error_message = jsonencode(aws_dynamodb_table.connections[0])
  }

  # Once, however many intents need it, and by way of DynamoDB alone.
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.function["f"].policy).Statement : s if startswith(s.Action[0], "kms:")] == [
      { Effect = "Allow", Action = ["kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:123456789012:key/k"], Condition = { StringLike = { "kms:ViaService" = "dynamodb.*" } } },
    ]
    error_message = aws_iam_role_policy.function["f"].policy
  }

  assert {
    condition     = aws_lambda_function.this["f"].environment[0].variables["CONNECTION_SHARDS"] == "4" && output.shards == 4
    error_message = "a function that writes one shard and one that reads another miss each other"
  }

  assert {
    condition = (
      aws_lambda_function.this["f"].environment[0].variables["EVERYONE_SHARDS"] == "16" && output.everyone_shards == 16
      && aws_lambda_function.this["f"].environment[0].variables["FORMER_SHARDS"] == "8" && output.former_shards == 8
    )
    error_message = jsonencode(aws_lambda_function.this["f"].environment[0].variables)
  }
}

run "a_table_that_exists_is_used" {
  variables {
    connection_table = { existing = { name = "mine", arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/mine" } }
  }

  assert {
    condition = (
      length(aws_dynamodb_table.connections) == 0
      && aws_lambda_function.this["f"].environment[0].variables["CONNECTION_TABLE"] == "mine"
      && output.table_name == "mine"
      && output.table_arn == "arn:aws:dynamodb:eu-central-1:123456789012:table/mine"
    )
    error_message = "another table is used"
  }

  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.function["f"].policy).Statement : s.Resource if startswith(s.Action[0], "dynamodb:")])) == toset([
      "arn:aws:dynamodb:eu-central-1:123456789012:table/mine", "arn:aws:dynamodb:eu-central-1:123456789012:table/mine/index/by-connection",
    ])
    error_message = aws_iam_role_policy.function["f"].policy
  }
}

run "an_api_that_need_not_know_who_is_connected_has_none" {
  variables {
    connection_table = null
    functions        = { f = { package = "tests/package.zip", manage_connections = ["POST"] } }
    alarms           = {}
    dashboard        = true
  }

  assert {
    condition = (
      length(aws_dynamodb_table.connections) == 0
      && output.table_name == null && output.table_arn == null && output.shards == null
      && keys(aws_lambda_function.this["f"].environment[0].variables) == tolist(["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"])
    )
    error_message = "something speaks of a table that is not there"
  }

  assert {
    condition     = { for intent, policy in output.policies : intent => policy != null } == { read = false, write = false, delete = false, POST = true, GET = true, DELETE = true }
    error_message = jsonencode(output.policies)
  }

  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.this : a.namespace != "AWS/DynamoDB"]) && !strcontains(aws_cloudwatch_dashboard.this[0].dashboard_body, "AWS/DynamoDB")
    error_message = "what looks at a table has none to look at"
  }
}
