# The connection table: keyed by channel, found by connection, expiring.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  functions = { f = { package = "tests/package.zip" } }
  routes    = { "$default" = { function = "f" } }
}

run "a_channel_is_a_partition_and_rows_expire" {
  assert {
    condition = (
      aws_dynamodb_table.connections.name == "chat-connections"
      && aws_dynamodb_table.connections.hash_key == "channel"
      && aws_dynamodb_table.connections.range_key == "connectionId"
      && aws_dynamodb_table.connections.billing_mode == "PAY_PER_REQUEST"
    )
    error_message = "a broadcast queries one channel"
  }

  assert {
    condition = [for i in aws_dynamodb_table.connections.global_secondary_index : [i.name, i.hash_key, i.range_key, i.projection_type]] == [
      ["by-connection", "connectionId", "channel", "KEYS_ONLY"],
    ]
    error_message = "a disconnect finds its rows by the index"
  }

  assert {
    condition     = aws_dynamodb_table.connections.ttl[0].enabled && aws_dynamodb_table.connections.ttl[0].attribute_name == "expiresAt"
    error_message = "what a disconnect missed expires"
  }
}
