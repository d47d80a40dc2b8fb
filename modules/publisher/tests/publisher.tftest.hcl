# A queue, the function behind it, and what may use both.

mock_provider "aws" {
  source = "./tests/aws"
}

override_resource {
  target = aws_sqs_queue.this
  values = {
    id  = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish"
    arn = "arn:aws:sqs:eu-central-1:123456789012:updates-publish"
  }
}

override_resource {
  target = aws_sqs_queue.tasks["deliveries"]
  values = {
    id  = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-deliveries"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-deliveries"
    arn = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries"
  }
}

override_resource {
  target = aws_sqs_queue.tasks["broadcasts"]
  values = {
    id  = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-broadcasts"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-broadcasts"
    arn = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-broadcasts"
  }
}

override_resource {
  target = aws_sqs_queue.dead_letters
  values = {
    id  = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-dead-letters"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-dead-letters"
    arn = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-dead-letters"
  }
}

variables {
  name    = "updates"
  package = "tests/package.zip"
  tags    = { team = "a" }
  websocket = {
    table_name          = "updates-connections"
    shards              = 4
    management_endpoint = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/live"
    policies            = { for intent in ["read", "write", "delete", "POST", "GET", "DELETE"] : intent => "{\"Statement\":\"${intent}\"}" }
  }
}

run "what_fails_is_tried_again_and_then_kept" {
  assert {
    condition = alltrue([for policy in concat(aws_sqs_queue_redrive_policy.this, values(aws_sqs_queue_redrive_policy.tasks)) : jsondecode(policy.redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-dead-letters"
      maxReceiveCount     = 5
    }])
    error_message = "${aws_sqs_queue_redrive_policy.this[0].redrive_policy} ${aws_sqs_queue_redrive_policy.tasks["deliveries"].redrive_policy}"
  }

  assert {
    condition = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters[0].redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-central-1:123456789012:updates-publish", "arn:aws:sqs:eu-central-1:123456789012:updates-publish-broadcasts", "arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries"]
    }
    error_message = aws_sqs_queue_redrive_allow_policy.dead_letters[0].redrive_allow_policy
  }

  assert {
    condition     = aws_sqs_queue_redrive_policy.this[0].queue_url == output.queue_url && aws_sqs_queue_redrive_policy.tasks["deliveries"].queue_url == output.delivery_queue_url && aws_sqs_queue_redrive_allow_policy.dead_letters[0].queue_url == output.dead_letter_queue_url
    error_message = "two queues say where their dead letters go, and the other whose it takes"
  }

  assert {
    condition = (
      aws_sqs_queue.this[0].name == "updates-publish"
      && aws_sqs_queue.this[0].visibility_timeout_seconds == 360
      && aws_sqs_queue.this[0].message_retention_seconds == 345600
      && aws_sqs_queue.tasks["deliveries"].name == "updates-publish-deliveries"
      && aws_sqs_queue.tasks["deliveries"].visibility_timeout_seconds == 360
      && aws_sqs_queue.tasks["deliveries"].message_retention_seconds == 345600
      && aws_sqs_queue.dead_letters[0].name == "updates-publish-dead-letters"
      && aws_sqs_queue.dead_letters[0].message_retention_seconds == 1209600
    )
    error_message = "the queue waits for six times as long as the function may take, and dead letters are kept the longest"
  }

  assert {
    condition     = alltrue([for q in concat(aws_sqs_queue.this, values(aws_sqs_queue.tasks), aws_sqs_queue.dead_letters) : q.sqs_managed_sse_enabled && q.kms_master_key_id == null && q.max_message_size == 262144 && q.tags == tomap({ team = "a" })])
    error_message = "all are encrypted, take a record of the largest message, and are tagged"
  }
}

run "only_what_failed_of_a_batch_comes_back" {
  assert {
    condition = (
      aws_lambda_event_source_mapping.this[0].event_source_arn == "arn:aws:sqs:eu-central-1:123456789012:updates-publish"
      && aws_lambda_event_source_mapping.this[0].function_name == "arn:aws:lambda:eu-central-1:123456789012:function:updates-publish"
      && aws_lambda_event_source_mapping.this[0].function_response_types == toset(["ReportBatchItemFailures"])
      && aws_lambda_event_source_mapping.this[0].batch_size == 10
      && aws_lambda_event_source_mapping.this[0].maximum_batching_window_in_seconds == 0
      && aws_lambda_event_source_mapping.this[0].scaling_config[0].maximum_concurrency == 3
    )
    error_message = jsonencode(aws_lambda_event_source_mapping.this[0])
  }
}

run "what_is_left_over_comes_by_a_way_of_its_own" {
  assert {
    condition = (
      aws_lambda_event_source_mapping.tasks["deliveries"].event_source_arn == "arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries"
      && aws_lambda_event_source_mapping.tasks["deliveries"].function_name == "arn:aws:lambda:eu-central-1:123456789012:function:updates-publish"
      && aws_lambda_event_source_mapping.tasks["deliveries"].function_response_types == toset(["ReportBatchItemFailures"])
      && aws_lambda_event_source_mapping.tasks["deliveries"].batch_size == 10
      && aws_lambda_event_source_mapping.tasks["deliveries"].scaling_config[0].maximum_concurrency == 2
    )
    error_message = jsonencode(aws_lambda_event_source_mapping.tasks["deliveries"])
  }

  # Two ranges of a broadcast in one invocation would share its processor.
  assert {
    condition = (
      aws_lambda_event_source_mapping.tasks["broadcasts"].event_source_arn == "arn:aws:sqs:eu-central-1:123456789012:updates-publish-broadcasts"
      && aws_lambda_event_source_mapping.tasks["broadcasts"].function_name == "arn:aws:lambda:eu-central-1:123456789012:function:updates-publish"
      && aws_lambda_event_source_mapping.tasks["broadcasts"].function_response_types == toset(["ReportBatchItemFailures"])
      && aws_lambda_event_source_mapping.tasks["broadcasts"].batch_size == 1
      && aws_lambda_event_source_mapping.tasks["broadcasts"].scaling_config[0].maximum_concurrency == 4
    )
    error_message = jsonencode(aws_lambda_event_source_mapping.tasks["broadcasts"])
  }
}

run "the_function_knows_the_api_and_its_own_queue" {
  assert {
    condition = aws_lambda_function.this[0].environment[0].variables == tomap({
      CONNECTION_TABLE                         = "updates-connections"
      CONNECTION_SHARDS                        = "4"
      AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/live"
      DELIVERY_QUEUE_URL                       = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-deliveries"
      DELIVERY_QUEUE_ARN                       = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries"
      BROADCAST_QUEUE_URL                      = "https://sqs.eu-central-1.amazonaws.com/123456789012/updates-publish-broadcasts"
      BROADCAST_QUEUE_ARN                      = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-broadcasts"
      BROADCAST_CONCURRENCY                    = "4"
      BROADCAST_RATE_LIMIT                     = "5000"
    })
    error_message = jsonencode(aws_lambda_function.this[0].environment[0].variables)
  }

  assert {
    condition = (
      aws_lambda_function.this[0].function_name == "updates-publish"
      && aws_lambda_function.this[0].source_code_hash == filebase64sha256("tests/package.zip")
      && aws_lambda_function.this[0].architectures == tolist(["arm64"])
      && aws_lambda_function.this[0].memory_size == 512
      && aws_lambda_function.this[0].timeout == 60
      && aws_lambda_function.this[0].tracing_config[0].mode == "PassThrough"
      && aws_lambda_function.this[0].logging_config[0].log_group == "/aws/lambda/updates-publish"
      && aws_lambda_function.this[0].logging_config[0].application_log_level == "INFO"
      && aws_cloudwatch_log_group.this[0].retention_in_days == 30
    )
    error_message = jsonencode(aws_lambda_function.this[0])
  }

  assert {
    condition     = aws_lambda_function_recursion_config.this[0].function_name == "updates-publish" && aws_lambda_function_recursion_config.this[0].recursive_loop == "Allow"
    error_message = "a large broadcast goes round and round"
  }
}

run "the_function_may_do_what_it_does_and_no_more" {
  assert {
    condition = jsondecode(aws_iam_role_policy.this[0].policy).Statement == [
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/updates-publish:*"] },
      { Effect = "Allow", Action = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], Resource = ["arn:aws:sqs:eu-central-1:123456789012:updates-publish", "arn:aws:sqs:eu-central-1:123456789012:updates-publish-broadcasts", "arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries"] },
      { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = ["arn:aws:sqs:eu-central-1:123456789012:updates-publish-broadcasts", "arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries"] },
    ]
    error_message = aws_iam_role_policy.this[0].policy
  }

  assert {
    condition     = { for name, p in aws_iam_role_policy.connections : name => "${p.role} ${p.policy}" } == { for intent in ["read", "delete", "POST", "DELETE"] : intent => "updates-publish {\"Statement\":\"${intent}\"}" }
    error_message = jsonencode(aws_iam_role_policy.connections)
  }

  assert {
    condition = jsondecode(aws_iam_role.this[0].assume_role_policy).Statement == [
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } },
    ]
    error_message = aws_iam_role.this[0].assume_role_policy
  }
}

run "who_sends_may_send_and_no_more" {
  assert {
    condition = jsondecode(output.send_policy).Statement == [
      { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = ["arn:aws:sqs:eu-central-1:123456789012:updates-publish"] },
    ]
    error_message = output.send_policy
  }

  assert {
    condition     = jsonencode(output.send_statements) == jsonencode([{ actions = ["sqs:SendMessage"], resources = ["arn:aws:sqs:eu-central-1:123456789012:updates-publish"] }])
    error_message = jsonencode(output.send_statements)
  }

  # Whoever may send publications may leave nothing to the function in the name of others.
  assert {
    condition     = jsonencode(output.delivery_statements) == jsonencode([{ actions = ["sqs:SendMessage"], resources = ["arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries"] }])
    error_message = jsonencode(output.delivery_statements)
  }

  assert {
    condition     = output.queue_url == aws_sqs_queue.this[0].url && output.queue_arn == aws_sqs_queue.this[0].arn && output.delivery_queue_url == aws_sqs_queue.tasks["deliveries"].url && output.dead_letter_queue_arn == aws_sqs_queue.dead_letters[0].arn
    error_message = "an output is of another queue"
  }

  assert {
    condition = output.function == {
      arn       = "arn:aws:lambda:eu-central-1:123456789012:function:updates-publish"
      name      = "updates-publish"
      role_name = "updates-publish"
      role_arn  = "arn:aws:iam::123456789012:role/updates-publish"
      log_group = "/aws/lambda/updates-publish"
    }
    error_message = jsonencode(output.function)
  }
}

run "unencrypted_nobody_gets_in_and_no_service_does_unnamed" {
  assert {
    condition = { for name, p in merge(aws_sqs_queue_policy.tasks, { this = aws_sqs_queue_policy.this[0], dead_letters = aws_sqs_queue_policy.dead_letters[0] }) : name => jsondecode(p.policy).Statement } == {
      this         = [{ Effect = "Deny", Action = "sqs:*", Resource = "arn:aws:sqs:eu-central-1:123456789012:updates-publish", Principal = "*", Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
      deliveries   = [{ Effect = "Deny", Action = "sqs:*", Resource = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-deliveries", Principal = "*", Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
      broadcasts   = [{ Effect = "Deny", Action = "sqs:*", Resource = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-broadcasts", Principal = "*", Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
      dead_letters = [{ Effect = "Deny", Action = "sqs:*", Resource = "arn:aws:sqs:eu-central-1:123456789012:updates-publish-dead-letters", Principal = "*", Condition = { Bool = { "aws:SecureTransport" = "false" } } }]
    }
    error_message = "${aws_sqs_queue_policy.this[0].policy} ${aws_sqs_queue_policy.dead_letters[0].policy}"
  }

  assert {
    condition     = aws_sqs_queue_policy.this[0].queue_url == output.queue_url && aws_sqs_queue_policy.tasks["deliveries"].queue_url == output.delivery_queue_url && aws_sqs_queue_policy.dead_letters[0].queue_url == output.dead_letter_queue_url
    error_message = "a policy is of another queue"
  }
}

run "a_rule_and_a_topic_may_send" {
  variables {
    senders = [{ arn = "arn:aws:events:eu-central-1:123456789012:rule/orders" }, { arn = "arn:aws:sns:eu-central-1:123456789012:news" }]
  }

  assert {
    condition = slice(jsondecode(aws_sqs_queue_policy.this[0].policy).Statement, 1, 3) == [
      { Effect = "Allow", Action = "sqs:SendMessage", Resource = "arn:aws:sqs:eu-central-1:123456789012:updates-publish", Principal = { Service = "events.amazonaws.com" }, Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:events:eu-central-1:123456789012:rule/orders" } } },
      { Effect = "Allow", Action = "sqs:SendMessage", Resource = "arn:aws:sqs:eu-central-1:123456789012:updates-publish", Principal = { Service = "sns.amazonaws.com" }, Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:eu-central-1:123456789012:news" } } },
    ]
    error_message = aws_sqs_queue_policy.this[0].policy
  }

  assert {
    condition     = alltrue([for p in concat(values(aws_sqs_queue_policy.tasks), aws_sqs_queue_policy.dead_letters) : length(jsondecode(p.policy).Statement) == 1])
    error_message = "they send neither deliveries nor dead letters: ${aws_sqs_queue_policy.tasks["deliveries"].policy} ${aws_sqs_queue_policy.dead_letters[0].policy}"
  }
}

run "all_that_can_be_chosen_is" {
  variables {
    package                 = null
    s3                      = { bucket = "packages", key = "publish.zip", version = "v3" }
    architecture            = "x86_64"
    memory_size             = 1024
    timeout                 = 30
    tracing                 = true
    batch_size              = 100
    batching_window_seconds = 2
    maximum_concurrency     = 40
    broadcasts              = { rate_limit = 20000, concurrency = 16 }
    roles                   = { path = "/realtime/", permissions_boundary = "arn:aws:iam::123456789012:policy/bound" }
    logging                 = { retention_days = 7, function_level = "DEBUG", kms_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/l" } }
    queue = {
      max_receive_count             = 3
      retention_seconds             = 600
      dead_letter_retention_seconds = 86400
      kms_key                       = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" }
    }
  }

  assert {
    condition = (
      aws_lambda_function.this[0].s3_bucket == "packages"
      && aws_lambda_function.this[0].s3_key == "publish.zip"
      && aws_lambda_function.this[0].s3_object_version == "v3"
      && aws_lambda_function.this[0].filename == null
      && aws_lambda_function.this[0].architectures == tolist(["x86_64"])
      && aws_lambda_function.this[0].memory_size == 1024
      && aws_lambda_function.this[0].timeout == 30
      && aws_lambda_function.this[0].tracing_config[0].mode == "Active"
      && aws_lambda_function.this[0].logging_config[0].application_log_level == "DEBUG"
      && aws_lambda_event_source_mapping.this[0].batch_size == 100
      && aws_lambda_event_source_mapping.this[0].maximum_batching_window_in_seconds == 2
      && aws_lambda_event_source_mapping.this[0].scaling_config[0].maximum_concurrency == 20
      && aws_lambda_event_source_mapping.tasks["deliveries"].scaling_config[0].maximum_concurrency == 20
      && aws_lambda_event_source_mapping.tasks["deliveries"].batch_size == 10
      && aws_lambda_event_source_mapping.tasks["broadcasts"].scaling_config[0].maximum_concurrency == 16
      && aws_lambda_event_source_mapping.tasks["broadcasts"].batch_size == 1
      && aws_lambda_function.this[0].environment[0].variables["BROADCAST_CONCURRENCY"] == "16"
      && aws_lambda_function.this[0].environment[0].variables["BROADCAST_RATE_LIMIT"] == "20000"
      && jsondecode(aws_sqs_queue_redrive_policy.tasks["deliveries"].redrive_policy).maxReceiveCount == 3
      && aws_sqs_queue.tasks["deliveries"].message_retention_seconds == 600
      && aws_sqs_queue.tasks["deliveries"].visibility_timeout_seconds == 180
      && aws_iam_role.this[0].path == "/realtime/"
      && aws_iam_role.this[0].permissions_boundary == "arn:aws:iam::123456789012:policy/bound"
      && aws_cloudwatch_log_group.this[0].retention_in_days == 7
      && aws_cloudwatch_log_group.this[0].kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/l"
      && jsondecode(aws_sqs_queue_redrive_policy.this[0].redrive_policy).maxReceiveCount == 3
      && aws_sqs_queue.this[0].message_retention_seconds == 600
      && aws_sqs_queue.this[0].visibility_timeout_seconds == 180
      && aws_sqs_queue.dead_letters[0].message_retention_seconds == 86400
    )
    error_message = "${jsonencode(aws_lambda_function.this[0])} ${jsonencode(aws_sqs_queue.this[0])}"
  }

  assert {
    condition     = alltrue([for q in concat(aws_sqs_queue.this, values(aws_sqs_queue.tasks), aws_sqs_queue.dead_letters) : q.kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/k"])
    error_message = "all queues have the key"
  }

  # The key is for the function and for whoever sends.
  assert {
    condition = slice(jsondecode(aws_iam_role_policy.this[0].policy).Statement, 3, 5) == [
      { Effect = "Allow", Action = ["kms:GenerateDataKey", "kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:123456789012:key/k"] },
      { Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = ["*"] },
    ]
    error_message = aws_iam_role_policy.this[0].policy
  }

  assert {
    condition     = jsondecode(output.send_policy).Statement[1] == { Effect = "Allow", Action = ["kms:GenerateDataKey", "kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:123456789012:key/k"] } && length(output.send_statements) == 2 && length(output.delivery_statements) == 2
    error_message = output.send_policy
  }
}

run "it_counts_where_the_api_counts" {
  variables {
    websocket = {
      table_name          = "updates-connections"
      shards              = 1
      management_endpoint = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/live"
      policies            = { read = "{}", delete = "{}", POST = "{}", DELETE = "{}" }
      metrics_namespace   = "WebSocket/updates"
      everyone_shards     = 16
      former_shards       = 8
    }
  }

  assert {
    condition = (
      aws_lambda_function.this[0].environment[0].variables["METRICS_NAMESPACE"] == "WebSocket/updates"
      && aws_lambda_function.this[0].environment[0].variables["EVERYONE_SHARDS"] == "16"
      && aws_lambda_function.this[0].environment[0].variables["FORMER_SHARDS"] == "8"
    )
    error_message = jsonencode(aws_lambda_function.this[0].environment[0].variables)
  }
}

run "what_is_published_is_kept_where_the_api_keeps_what_is_said" {
  variables {
    websocket = {
      table_name          = "updates-connections"
      shards              = 1
      management_endpoint = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/live"
      policies            = { read = "{}", delete = "{}", POST = "{}", DELETE = "{}" }
      history             = { table_name = "updates-history", seconds = 3600, policies = { read = "{}", write = "{\"Statement\":\"write\"}" } }
    }
    environment = { ANNOUNCE_CHANNELS = "lobby" }
  }

  assert {
    condition = (
      aws_lambda_function.this[0].environment[0].variables["HISTORY_TABLE"] == "updates-history" &&
      aws_lambda_function.this[0].environment[0].variables["HISTORY_SECONDS"] == "3600" &&
      aws_lambda_function.this[0].environment[0].variables["ANNOUNCE_CHANNELS"] == "lobby"
    )
    error_message = jsonencode(aws_lambda_function.this[0].environment[0].variables)
  }

  assert {
    condition     = aws_iam_role_policy.history[0].policy == "{\"Statement\":\"write\"}"
    error_message = aws_iam_role_policy.history[0].policy
  }
}

run "by_default_there_are_no_alarms" {
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0 && length(output.alarm_arns) == 0
    error_message = jsonencode(keys(aws_cloudwatch_metric_alarm.this))
  }
}

run "one_switch_makes_a_sound_set" {
  variables {
    alarms = { actions = ["arn:aws:sns:eu-central-1:123456789012:ops"] }
  }

  assert {
    condition = { for key, a in aws_cloudwatch_metric_alarm.this : key =>
      "${a.alarm_name}: ${a.namespace} ${a.metric_name} ${a.statistic} >= ${a.threshold} in ${a.evaluation_periods} x ${a.period} s, ${a.dimensions["QueueName"]}, ${a.treat_missing_data}"
      } == {
      dead-letters     = "updates-publish-dead-letters: AWS/SQS ApproximateNumberOfMessagesVisible Maximum >= 1 in 1 x 300 s, updates-publish-dead-letters, notBreaching"
      oldest-broadcast = "updates-publish-oldest-broadcast: AWS/SQS ApproximateAgeOfOldestMessage Maximum >= 300 in 1 x 300 s, updates-publish-broadcasts, notBreaching"
      oldest-delivery  = "updates-publish-oldest-delivery: AWS/SQS ApproximateAgeOfOldestMessage Maximum >= 300 in 1 x 300 s, updates-publish-deliveries, notBreaching"
      oldest-message   = "updates-publish-oldest-message: AWS/SQS ApproximateAgeOfOldestMessage Maximum >= 300 in 1 x 300 s, updates-publish, notBreaching"
    }
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this)
  }

  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.this : a.alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:ops"]) && a.ok_actions == a.alarm_actions])
    error_message = "the topic hears when an alarm begins, and when it ends"
  }

  assert {
    condition     = keys(output.alarm_arns) == ["dead-letters", "oldest-broadcast", "oldest-delivery", "oldest-message"]
    error_message = jsonencode(output.alarm_arns)
  }
}

run "thresholds_are_the_callers" {
  variables {
    alarms = { dead_letters = 7, oldest_message_seconds = 900 }
  }

  assert {
    condition     = { for key, a in aws_cloudwatch_metric_alarm.this : key => a.threshold } == { dead-letters = 7, oldest-broadcast = 900, oldest-delivery = 900, oldest-message = 900 }
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this)
  }
}

run "without_create_there_is_nothing" {
  variables {
    create    = false
    package   = "tests/no-such.zip"
    alarms    = {}
    senders   = [{ arn = "arn:aws:events:eu-central-1:123456789012:rule/orders" }]
    websocket = { table_name = null, shards = 1, management_endpoint = null, policies = { read = null, delete = null, POST = null, DELETE = null } }
  }

  assert {
    condition = sum([
      length(aws_sqs_queue.tasks), length(aws_sqs_queue_policy.tasks), length(aws_sqs_queue_redrive_policy.tasks), length(aws_lambda_event_source_mapping.tasks),
      length(aws_sqs_queue.this), length(aws_sqs_queue.dead_letters), length(aws_sqs_queue_policy.this), length(aws_sqs_queue_policy.dead_letters),
      length(aws_sqs_queue_redrive_policy.this), length(aws_sqs_queue_redrive_allow_policy.dead_letters), length(aws_lambda_function.this), length(aws_lambda_event_source_mapping.this),
      length(aws_cloudwatch_log_group.this), length(aws_cloudwatch_metric_alarm.this), length(aws_iam_role.this), length(aws_iam_role_policy.this),
      length(aws_iam_role_policy.connections), length(aws_lambda_function_recursion_config.this),
    ]) == 0
    error_message = "something is created"
  }

  assert {
    condition     = output.queue_url == null && output.queue_arn == null && output.send_policy == null && length(output.send_statements) == 0 && output.delivery_queue_url == null && length(output.delivery_statements) == 0 && output.dead_letter_queue_url == null && output.function == null
    error_message = "an output names what is not there"
  }
}

# Planned, not applied: neither the API nor the queue is there yet.
run "the_api_and_the_publisher_name_each_other" {
  command = plan

  module {
    source = "./tests/together"
  }

  assert {
    condition     = output.functions == ["updates-send", "updates-publish"]
    error_message = "both are planned: ${jsonencode(output.functions)}"
  }
}

run "an_alarm_whose_threshold_is_null_is_not_made" {
  variables {
    alarms = { dead_letters = null, actions = ["arn:aws:sns:eu-central-1:123456789012:ops"] }
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["oldest-broadcast", "oldest-delivery", "oldest-message"] && aws_cloudwatch_metric_alarm.this["oldest-message"].threshold == 300 && aws_cloudwatch_metric_alarm.this["oldest-message"].alarm_actions == toset(["arn:aws:sns:eu-central-1:123456789012:ops"])
    error_message = jsonencode(aws_cloudwatch_metric_alarm.this)
  }
}

run "in_another_region_the_role_is_called_otherwise" {
  command = plan

  variables {
    global_name_suffix = "eu-west-1"
  }

  assert {
    condition     = aws_iam_role.this[0].name == "updates-publish-eu-west-1" && aws_lambda_function.this[0].function_name == "updates-publish"
    error_message = "a role is of the account, a function of its Region: ${aws_iam_role.this[0].name}, ${aws_lambda_function.this[0].function_name}"
  }
}
