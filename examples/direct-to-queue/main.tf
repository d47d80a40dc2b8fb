# Messages from clients go straight into a queue: no function runs, and none has to be paid for.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

module "websocket" {
  source = "../../modules/websocket-api"

  name             = "events"
  connection_table = null # Clients receive no messages: their connections need not be known.

  routes = {
    track = { queue = { arn = aws_sqs_queue.events.arn, reply = jsonencode({ type = "queued" }) } }
  }
}

resource "aws_sqs_queue" "events" {
  name                    = "events"
  sqs_managed_sse_enabled = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.failed.arn
    maxReceiveCount     = 5
  })
}

# Messages that were received five times and never deleted, for a person to look at.
resource "aws_sqs_queue" "failed" {
  name                      = "events-failed"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600 # 14 days, the longest
}

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "queue_url" {
  value = aws_sqs_queue.events.url
}
