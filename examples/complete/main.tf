# The chat's functions with the settings of a backend in production: logs, alarms, a dashboard and a key of its own. Channels
# are spread over partitions, and a history keeps messages for clients that were away. Messages are checked before they cost
# anything. The authorizer and the domain have examples of their own: ../authorized and ../custom-domain.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "operators" {
  description = "The ARNs of the SNS topics that alarms notify."
  type        = list(string)
  default     = []
}

module "websocket" {
  source = "../../modules/websocket-api"

  name            = "complete"
  description     = "Everything that the module offers"
  stage           = "prod"
  stage_variables = { colour = "blue" }
  ip_address_type = "dualstack"

  functions = {
    connect = {
      package     = "${local.packages}/connect/bootstrap.zip"
      connections = ["write"]
      memory_size = 128
      timeout     = 5
      tracing     = true
      log_level   = "WARN"

      # Private variables of the function, encrypted with a key.
      environment     = { SUBPROTOCOLS = "chat" }
      environment_key = aws_kms_key.this
      architecture    = "arm64"
    }
    disconnect = {
      package     = "${local.packages}/disconnect/bootstrap.zip"
      connections = ["delete"]
    }
    send = {
      package             = "${local.packages}/send/bootstrap.zip"
      connections         = ["read", "delete"]
      history             = ["write"]
      manage_connections  = ["POST"]
      memory_size         = 512
      timeout             = 28
      failure_destination = aws_sqs_queue.failed
      log_retention_days  = 90
    }
    subscribe = {
      package            = "${local.packages}/subscribe/bootstrap.zip"
      connections        = ["read", "write", "delete"]
      history            = ["read"]
      manage_connections = ["POST"]
      timeout            = 28 # A client that missed much receives it message by message.
    }
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    send = {
      function               = "send"
      two_way                = true
      operation_name         = "SendMessage"
      throttling_rate_limit  = 100
      throttling_burst_limit = 50
      request_model          = jsonencode({ type = "object", required = ["message"] })
    }
    subscribe   = { function = "subscribe", two_way = true }
    unsubscribe = { function = "subscribe", two_way = true }
    list        = { function = "subscribe", two_way = true }
    ping        = { mock = jsonencode({ type = "pong" }) }
    track       = { queue = { arn = aws_sqs_queue.tracked.arn, reply = jsonencode({ type = "queued" }) } }
  }

  throttling = { rate_limit = 2000, burst_limit = 1000 }

  connection_table = {
    kms_key                = aws_kms_key.this
    point_in_time_recovery = true
    deletion_protection    = false # true if it must not be lost
    shards                 = 4
  }

  # A client that was away, for a reconnect or for a week, receives the missed messages when it is back.
  history = {
    seconds                = 7 * 24 * 60 * 60
    messages               = 200
    kms_key                = aws_kms_key.this
    point_in_time_recovery = true
    deletion_protection    = false # true if it must not be lost
  }

  logging = {
    retention_days   = 14
    kms_key          = aws_kms_key.this
    access_logs      = true
    execution_level  = "ERROR"
    detailed_metrics = true
    account_role     = module.account_logging.role
  }

  alarms    = { actions = var.operators, integration_latency_ms = 2000 }
  dashboard = true
  metrics   = true
  tags      = { team = "realtime" }
}

# The account's role for API Gateway's logs. If your account has one, leave this module out, and account_role too.
module "account_logging" {
  source = "../../modules/account-logging"
}

locals {
  packages = "../../target/lambda" # where `make build` leaves them
}

resource "aws_sqs_queue" "tracked" {
  name                    = "complete-tracked"
  sqs_managed_sse_enabled = true
}

resource "aws_sqs_queue" "failed" {
  name                    = "complete-failed"
  sqs_managed_sse_enabled = true
}

# One key for the tables and the logs, with the permissions that CloudWatch Logs needs to use it.
resource "aws_kms_key" "this" {
  description         = "complete"
  enable_key_rotation = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:root" }
      },
      {
        Effect    = "Allow"
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Principal = { Service = "logs.${data.aws_region.this.name}.amazonaws.com" }
        # Only for this account's log groups.
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.this.partition}:logs:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}:log-group:*" } }
      },
    ]
  })
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "table_name" {
  value = module.websocket.table_name
}

output "dashboard_name" {
  value = module.websocket.dashboard_name
}
