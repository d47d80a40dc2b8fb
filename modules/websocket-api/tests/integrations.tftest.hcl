# Routes that lead to no function: a fixed answer, an HTTP endpoint, a queue, another service.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name  = "chat"
  stage = "dev"
  routes = {
    ping    = { mock = "{\"type\":\"pong\"}" }
    backend = { http = { url = "https://example.com/messages", headers = { stage = "'dev'" } }, two_way = true }
    track   = { queue = { arn = "arn:aws-cn:sqs:cn-north-1:123456789012:events", reply = "queued" } }
    ordered = { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:events.fifo", kms_key = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" } } }
    emit = { service = {
      uri               = "arn:aws:apigateway:eu-central-1:events:action/PutEvents"
      headers           = { "X-Amz-Target" = "'AWSEvents.PutEvents'" }
      template          = "{}"
      policy_statements = [{ actions = ["events:PutEvents"], resources = ["arn:aws:events:eu-central-1:123456789012:event-bus/default"] }]
    } }
  }
}

run "a_mock_needs_nothing_behind_it" {
  assert {
    condition = (
      aws_apigatewayv2_integration.route["ping"].integration_type == "MOCK"
      && aws_apigatewayv2_integration.route["ping"].integration_uri == null
      && aws_apigatewayv2_integration.route["ping"].credentials_arn == null
      && aws_apigatewayv2_integration.route["ping"].template_selection_expression == "\\$default"
      && aws_apigatewayv2_integration.route["ping"].request_templates == tomap({ "$default" = "{\"statusCode\":200}" })
    )
    error_message = jsonencode(aws_apigatewayv2_integration.route["ping"])
  }

  assert {
    condition = { for key, r in aws_apigatewayv2_integration_response.reply : key => "${r.integration_response_key} ${r.template_selection_expression} ${r.response_templates["$default"]}" } == {
      ping  = "/200/ \\$default {\"type\":\"pong\"}"
      track = "/200/ \\$default queued"
    }
    error_message = jsonencode(aws_apigatewayv2_integration_response.reply)
  }

  assert {
    condition     = length(aws_lambda_function.this) + length(aws_lambda_permission.route) + length(aws_apigatewayv2_integration.function) == 0
    error_message = "no function is made, and none is invoked"
  }
}

run "an_http_endpoint_gets_the_message_and_the_connections_id" {
  assert {
    condition = (
      aws_apigatewayv2_integration.route["backend"].integration_type == "HTTP_PROXY"
      && aws_apigatewayv2_integration.route["backend"].integration_method == "POST"
      && aws_apigatewayv2_integration.route["backend"].integration_uri == "https://example.com/messages"
      && aws_apigatewayv2_integration.route["backend"].credentials_arn == null
      && aws_apigatewayv2_integration.route["backend"].request_parameters == tomap({
        "integration.request.header.connectionId" = "context.connectionId"
        "integration.request.header.stage"        = "'dev'"
      })
    )
    error_message = jsonencode(aws_apigatewayv2_integration.route["backend"])
  }
}

run "a_queue_gets_the_message_with_where_it_comes_from" {
  assert {
    condition = (
      aws_apigatewayv2_integration.route["track"].integration_type == "AWS"
      && aws_apigatewayv2_integration.route["track"].integration_uri == "arn:aws-cn:apigateway:cn-north-1:sqs:path/123456789012/events"
      && aws_apigatewayv2_integration.route["track"].passthrough_behavior == "NEVER"
      && aws_apigatewayv2_integration.route["track"].request_parameters == tomap({ "integration.request.header.Content-Type" = "'application/x-www-form-urlencoded'" })
    )
    error_message = jsonencode(aws_apigatewayv2_integration.route["track"])
  }

  assert {
    condition = split("&", aws_apigatewayv2_integration.route["track"].request_templates["$default"]) == tolist([
      "Action=SendMessage",
      "MessageAttribute.1.Name=connectionId",
      "MessageAttribute.1.Value.DataType=String",
      "MessageAttribute.1.Value.StringValue=$util.urlEncode($context.connectionId)",
      "MessageAttribute.2.Name=requestId",
      "MessageAttribute.2.Value.DataType=String",
      "MessageAttribute.2.Value.StringValue=$util.urlEncode($context.requestId)",
      "MessageAttribute.3.Name=routeKey",
      "MessageAttribute.3.Value.DataType=String",
      "MessageAttribute.3.Value.StringValue=$util.urlEncode($context.routeKey)",
      "MessageBody=$util.urlEncode($input.body)",
    ])
    error_message = aws_apigatewayv2_integration.route["track"].request_templates["$default"]
  }

  assert {
    condition     = endswith(aws_apigatewayv2_integration.route["ordered"].request_templates["$default"], "&MessageGroupId=$util.urlEncode($context.connectionId)&MessageDeduplicationId=$util.urlEncode($context.requestId)")
    error_message = "a FIFO queue keeps a connection's order: ${aws_apigatewayv2_integration.route["ordered"].request_templates["$default"]}"
  }
}

run "a_service_is_called_as_the_input_says" {
  assert {
    condition = (
      aws_apigatewayv2_integration.route["emit"].integration_uri == "arn:aws:apigateway:eu-central-1:events:action/PutEvents"
      && aws_apigatewayv2_integration.route["emit"].request_parameters == tomap({ "integration.request.header.X-Amz-Target" = "'AWSEvents.PutEvents'" })
      && aws_apigatewayv2_integration.route["emit"].request_templates == tomap({ "$default" = "{}" })
    )
    error_message = jsonencode(aws_apigatewayv2_integration.route["emit"])
  }
}

run "each_has_a_role_of_its_own_that_may_do_that_and_no_more" {
  assert {
    condition = { for key, p in aws_iam_role_policy.route : key => jsondecode(p.policy).Statement } == {
      track = [{ Effect = "Allow", Action = ["sqs:SendMessage"], Resource = ["arn:aws-cn:sqs:cn-north-1:123456789012:events"] }]
      ordered = [
        { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = ["arn:aws:sqs:eu-central-1:123456789012:events.fifo"] },
        { Effect = "Allow", Action = ["kms:GenerateDataKey", "kms:Decrypt"], Resource = ["arn:aws:kms:eu-central-1:123456789012:key/k"] },
      ]
      emit = [{ Effect = "Allow", Action = ["events:PutEvents"], Resource = ["arn:aws:events:eu-central-1:123456789012:event-bus/default"] }]
    }
    error_message = jsonencode({ for key, p in aws_iam_role_policy.route : key => jsondecode(p.policy).Statement })
  }

  assert {
    condition = alltrue([for role in values(aws_iam_role.route) : jsondecode(role.assume_role_policy).Statement == [
      { Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } },
    ]])
    error_message = "none but API Gateway takes the roles"
  }

  assert {
    condition     = alltrue([for key in ["track", "ordered", "emit"] : aws_apigatewayv2_integration.route[key].credentials_arn == aws_iam_role.route[key].arn])
    error_message = "the role is used"
  }
}

run "who_has_an_answer_answers" {
  assert {
    condition     = [for r in aws_apigatewayv2_route.this : r.route_key if r.route_response_selection_expression == "$default"] == ["backend", "ping", "track"]
    error_message = "two-way: ${jsonencode([for r in aws_apigatewayv2_route.this : r.route_key if r.route_response_selection_expression == "$default"])}"
  }

  assert {
    condition     = keys(aws_apigatewayv2_route_response.this) == ["backend", "ping", "track"]
    error_message = jsonencode(keys(aws_apigatewayv2_route_response.this))
  }
}

run "a_connect_and_a_disconnect_have_no_message_and_yet_fill_a_queue" {
  variables {
    routes = { for key in ["$connect", "$disconnect"] : key => { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:events" } } }
  }

  assert {
    condition     = alltrue([for i in values(aws_apigatewayv2_integration.route) : endswith(i.request_templates["$default"], "&MessageBody=$context.eventType")])
    error_message = jsonencode(values(aws_apigatewayv2_integration.route)[*].request_templates)
  }
}

run "an_empty_answer_is_an_answer" {
  variables {
    routes = { ping = { mock = "" } }
  }

  assert {
    condition     = aws_apigatewayv2_route.this["ping"].route_response_selection_expression == "$default" && aws_apigatewayv2_integration_response.reply["ping"].response_templates["$default"] == ""
    error_message = jsonencode(aws_apigatewayv2_integration_response.reply)
  }
}

run "roles_are_what_the_account_asks_for" {
  variables {
    roles     = { path = "/realtime/", permissions_boundary = "arn:aws:iam::123456789012:policy/bound" }
    functions = { f = { package = "tests/package.zip" } }
  }

  assert {
    condition = alltrue([for role in concat(values(aws_iam_role.route), values(aws_iam_role.function)) :
    role.path == "/realtime/" && role.permissions_boundary == "arn:aws:iam::123456789012:policy/bound"])
    error_message = "a role is refused by the account"
  }
}
