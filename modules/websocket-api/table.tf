locals {
  connection_index = "by-connection"
}

# Channels and the connections in them. A broadcast queries a channel; a disconnect finds its rows by the index.
resource "aws_dynamodb_table" "connections" {
  name         = "${var.name}-connections"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "channel"
  range_key    = "connectionId"
  tags         = var.tags

  attribute {
    name = "channel"
    type = "S"
  }

  attribute {
    name = "connectionId"
    type = "S"
  }

  global_secondary_index {
    name            = local.connection_index
    hash_key        = "connectionId"
    range_key       = "channel"
    projection_type = "KEYS_ONLY"
  }

  # $disconnect is best effort: what it missed expires.
  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }
}
