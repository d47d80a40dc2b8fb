# What each function may do: what its intent says, and nothing else.

mock_provider "aws" {
  source = "./tests/aws"
}

override_resource {
  target = aws_cloudwatch_log_group.function["none"]
  values = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-none" }
}

override_resource {
  target = aws_iam_role.function["none"]
  values = { id = "chat-none", arn = "arn:aws:iam::123456789012:role/chat-none" }
}

override_resource {
  target = aws_cloudwatch_log_group.function["connect"]
  values = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-connect" }
}

override_resource {
  target = aws_iam_role.function["connect"]
  values = { id = "chat-connect", arn = "arn:aws:iam::123456789012:role/chat-connect" }
}

override_resource {
  target = aws_cloudwatch_log_group.function["send"]
  values = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-send" }
}

override_resource {
  target = aws_iam_role.function["send"]
  values = { id = "chat-send", arn = "arn:aws:iam::123456789012:role/chat-send" }
}

override_resource {
  target = aws_cloudwatch_log_group.function["admin"]
  values = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-admin" }
}

override_resource {
  target = aws_iam_role.function["admin"]
  values = { id = "chat-admin", arn = "arn:aws:iam::123456789012:role/chat-admin" }
}

variables {
  name  = "chat"
  stage = "dev"
  functions = {
    none    = { package = "tests/package.zip" }
    connect = { package = "tests/package.zip", connections = ["write"] }
    send    = { package = "tests/package.zip", connections = ["read", "delete"], manage_connections = ["POST"] }
    admin   = { package = "tests/package.zip", manage_connections = ["GET", "DELETE"] }
  }
  routes = { "$default" = { function = "none" } }
}

run "without_intent_a_function_may_log_and_no_more" {
  assert {
    condition = jsondecode(aws_iam_role_policy.function["none"].policy).Statement == [
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-none:*"] },
    ]
    error_message = aws_iam_role_policy.function["none"].policy
  }

  assert {
    condition     = length(aws_lambda_function.this["none"].environment) == 0
    error_message = "what it may not use it does not know"
  }
}

run "write_puts_rows" {
  assert {
    condition = jsondecode(aws_iam_role_policy.function["connect"].policy).Statement == [
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-connect:*"] },
      { Effect = "Allow", Action = ["dynamodb:PutItem"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections"] },
    ]
    error_message = aws_iam_role_policy.function["connect"].policy
  }

  assert {
    condition     = aws_lambda_function.this["connect"].environment[0].variables == tomap({ CONNECTION_TABLE = "chat-connections", CONNECTION_SHARDS = "1" })
    error_message = jsonencode(aws_lambda_function.this["connect"].environment[0].variables)
  }
}

run "read_and_delete_and_post_are_exact" {
  assert {
    condition = jsondecode(aws_iam_role_policy.function["send"].policy).Statement == [
      { Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-send:*"] },
      { Effect = "Allow", Action = ["dynamodb:DeleteItem"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections"] },
      { Effect = "Allow", Action = ["dynamodb:Query"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections/index/by-connection"] },
      { Effect = "Allow", Action = ["dynamodb:Query"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections"] },
      { Effect = "Allow", Action = ["execute-api:ManageConnections"], Resource = ["arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/POST/@connections/*"] },
    ]
    error_message = aws_iam_role_policy.function["send"].policy
  }

  assert {
    condition = aws_lambda_function.this["send"].environment[0].variables == tomap({
      CONNECTION_TABLE                         = "chat-connections"
      CONNECTION_SHARDS                        = "1"
      AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/dev"
    })
    error_message = jsonencode(aws_lambda_function.this["send"].environment[0].variables)
  }
}

run "each_method_is_a_grant_of_its_own" {
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.function["admin"].policy).Statement : s.Resource[0]] == [
      "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/chat-admin:*",
      "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/DELETE/@connections/*",
      "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/GET/@connections/*",
    ]
    error_message = aws_iam_role_policy.function["admin"].policy
  }
}

run "nothing_scans_and_nothing_is_granted_on_everything" {
  assert {
    condition = alltrue(flatten([for p in values(aws_iam_role_policy.function) : [
      for s in jsondecode(p.policy).Statement : [s.Resource != ["*"], [for action in s.Action : action != "dynamodb:Scan" && !endswith(action, "*")]]
    ]]))
    error_message = "a policy is too wide"
  }
}

run "only_lambda_takes_the_roles" {
  assert {
    condition = alltrue([for role in values(aws_iam_role.function) : jsondecode(role.assume_role_policy).Statement == [
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } },
    ]])
    error_message = aws_iam_role.function["none"].assume_role_policy
  }
}

run "each_function_has_its_own_role_and_policy" {
  assert {
    condition = { for key, f in aws_lambda_function.this : key => f.role } == {
      admin   = "arn:aws:iam::123456789012:role/chat-admin"
      connect = "arn:aws:iam::123456789012:role/chat-connect"
      none    = "arn:aws:iam::123456789012:role/chat-none"
      send    = "arn:aws:iam::123456789012:role/chat-send"
    }
    error_message = jsonencode({ for key, f in aws_lambda_function.this : key => f.role })
  }

  assert {
    condition     = alltrue([for key, p in aws_iam_role_policy.function : p.role == "chat-${key}"])
    error_message = jsonencode({ for key, p in aws_iam_role_policy.function : key => p.role })
  }
}

run "what_is_outside_of_the_module_gets_the_same_policies" {
  variables {
    connection_table = { kms_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" } }
  }

  assert {
    condition = { for intent, policy in output.policies : intent => [for s in jsondecode(policy).Statement : "${s.Action[0]} ${s.Resource[0]}"] } == {
      DELETE = ["execute-api:ManageConnections arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/DELETE/@connections/*"]
      GET    = ["execute-api:ManageConnections arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/GET/@connections/*"]
      POST   = ["execute-api:ManageConnections arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/POST/@connections/*"]
      delete = [
        "dynamodb:DeleteItem arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections",
        "dynamodb:Query arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections/index/by-connection",
        "kms:Decrypt arn:aws:kms:eu-central-1:123456789012:key/k",
      ]
      read  = ["dynamodb:Query arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections", "kms:Decrypt arn:aws:kms:eu-central-1:123456789012:key/k"]
      write = ["dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/chat-connections", "kms:Decrypt arn:aws:kms:eu-central-1:123456789012:key/k"]
    }
    error_message = jsonencode(output.policies)
  }
}

run "what_else_a_function_is_given_is_granted_as_narrowly" {
  variables {
    functions = {
      none = {
        package             = "tests/package.zip"
        tracing             = true
        vpc                 = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
        failure_destination = { arn = "arn:aws:sns:eu-central-1:123456789012:failed" }
        policy_statements   = [{ actions = ["dynamodb:UpdateItem"], resources = ["arn:aws:dynamodb:eu-central-1:123456789012:table/votes"] }]
      }
    }
  }

  assert {
    condition = slice(jsondecode(aws_iam_role_policy.function["none"].policy).Statement, 1, 5) == [
      { Effect = "Allow", Action = ["sns:Publish"], Resource = ["arn:aws:sns:eu-central-1:123456789012:failed"] },
      { Effect = "Allow", Action = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource = ["*"] },
      {
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
        ]
        Resource = ["*"]
      },
      { Effect = "Allow", Action = ["dynamodb:UpdateItem"], Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/votes"] },
    ]
    error_message = aws_iam_role_policy.function["none"].policy
  }
}

run "in_another_region_the_names_of_an_account_end_otherwise" {
  command = plan

  variables {
    global_name_suffix = "eu-west-1"
    dashboard          = true
    routes = {
      "$default" = { function = "none" }
      track      = { queue = { arn = "arn:aws:sqs:eu-west-1:123456789012:q" } }
    }
  }

  assert {
    condition     = aws_iam_role.function["none"].name == "chat-none-eu-west-1" && can(regex("^chat-track[0-9a-f]{6}-eu-west-1$", aws_iam_role.route["track"].name))
    error_message = "roles are of the account: ${aws_iam_role.function["none"].name}, ${aws_iam_role.route["track"].name}"
  }

  assert {
    condition     = aws_cloudwatch_dashboard.this[0].dashboard_name == "chat-eu-west-1"
    error_message = "so are dashboards: ${aws_cloudwatch_dashboard.this[0].dashboard_name}"
  }

  assert {
    condition = alltrue([
      aws_apigatewayv2_api.this[0].name == "chat", aws_lambda_function.this["none"].function_name == "chat-none",
      aws_dynamodb_table.connections[0].name == "chat-connections", aws_cloudwatch_log_group.function["none"].name == "/aws/lambda/chat-none",
    ])
    error_message = "what a Region has of its own is called as ever"
  }
}

run "a_function_decrypts_its_environment" {
  variables {
    functions = { none = { package = "tests/package.zip", environment = { A = "b" }, environment_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" } } }
  }

  assert {
    condition     = aws_lambda_function.this["none"].kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/k"
    error_message = "the environment has another key"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["none"].policy).Statement[1] == {
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = ["arn:aws:kms:eu-central-1:123456789012:key/k"]
    }
    error_message = aws_iam_role_policy.function["none"].policy
  }
}
