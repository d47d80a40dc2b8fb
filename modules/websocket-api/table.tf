locals {
  connection_index = "by-connection"
  existing_table   = one(var.connection_table[*].existing)
  table            = one(concat([for t in aws_dynamodb_table.connections : { name = t.name, arn = t.arn }], var.create ? local.existing_table[*] : []))
  table_key        = one(var.connection_table[*].kms_key)
}

# Channels and the connections in them. A broadcast queries a channel; a disconnect finds its rows by the index.
resource "aws_dynamodb_table" "connections" {
  count = var.create && var.connection_table != null && local.existing_table == null ? 1 : 0

  name                        = "${var.name}-connections"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "channel"
  range_key                   = "connectionId"
  deletion_protection_enabled = var.connection_table.deletion_protection
  tags                        = var.tags

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

  # $disconnect is best effort: rows that it missed expire.
  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.connection_table.point_in_time_recovery
  }

  # Always given: without this block an earlier key would remain, and the functions may no longer use that key.
  server_side_encryption {
    enabled     = local.table_key != null
    kms_key_arn = one(local.table_key[*].arn)
  }
}
