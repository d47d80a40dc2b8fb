# The last messages of each channel, for clients that were away. The table exists only if `history` is set.
resource "aws_dynamodb_table" "history" {
  count = var.create && var.history != null ? 1 : 0

  name                        = "${var.name}-history"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "channel"
  range_key                   = "seq"
  deletion_protection_enabled = var.history.deletion_protection
  tags                        = var.tags

  attribute {
    name = "channel"
    type = "S"
  }

  attribute {
    name = "seq"
    type = "N"
  }

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.history.point_in_time_recovery
  }

  # Always given: without this block an earlier key would remain, and the functions may no longer use that key.
  server_side_encryption {
    enabled     = var.history.kms_key != null
    kms_key_arn = one(var.history.kms_key[*].arn)
  }
}

locals {
  # The grants of each intent, as for the connection table. Who reads puts, too: it closes the numbers of messages that
  # were never recorded.
  history_grants = merge([for table in aws_dynamodb_table.history : {
    read  = [{ Effect = "Allow", Action = ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem"], Resource = [table.arn] }]
    write = [{ Effect = "Allow", Action = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], Resource = [table.arn] }]
  }]...)
  history_key_grants = [for key in flatten([for history in var.history[*] : history.kms_key[*]]) : {
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = [key.arn]
    Condition = { StringLike = { "kms:ViaService" = "dynamodb.*" } }
  }]

  history_variables = merge([for table in aws_dynamodb_table.history : {
    HISTORY_TABLE    = table.name
    HISTORY_SECONDS  = tostring(var.history.seconds)
    HISTORY_MESSAGES = tostring(var.history.messages)
  }]...)
}
