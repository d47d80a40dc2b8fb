# Routes: where each leads, who may answer, and who may invoke what.

mock_provider "aws" {
  source = "./tests/aws"
}

override_resource {
  target = aws_lambda_function.this["connect"]
  values = { invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:chat-connect/invocations" }
}

override_resource {
  target = aws_lambda_function.this["talk"]
  values = { invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:chat-talk/invocations" }
}

variables {
  name  = "chat"
  stage = "dev"
  functions = {
    connect = { package = "tests/package.zip" }
    talk    = { package = "tests/package.zip" }
  }
  routes = {
    "$connect" = { function = "connect" }
    "$default" = { function = "talk", two_way = true }
    send       = { function = "talk" }
    ping       = { mock = "{\"type\":\"pong\"}" }
  }
}

run "each_route_leads_to_its_integration" {
  assert {
    condition     = aws_apigatewayv2_route.this["$connect"].target == "integrations/${aws_apigatewayv2_integration.function["connect"].id}"
    error_message = "$connect leads to ${aws_apigatewayv2_route.this["$connect"].target}"
  }

  assert {
    condition     = alltrue([for key in ["$default", "send"] : aws_apigatewayv2_route.this[key].target == "integrations/${aws_apigatewayv2_integration.function["talk"].id}"])
    error_message = "routes of one function share its integration"
  }

  assert {
    condition     = aws_apigatewayv2_route.this["ping"].target == "integrations/${aws_apigatewayv2_integration.route["ping"].id}"
    error_message = "ping leads to ${aws_apigatewayv2_route.this["ping"].target}"
  }

  assert {
    condition     = keys(aws_apigatewayv2_integration.function) == ["connect", "talk"]
    error_message = "one integration for each function in use: ${jsonencode(keys(aws_apigatewayv2_integration.function))}"
  }

  assert {
    condition = { for key, i in aws_apigatewayv2_integration.function : key => "${i.integration_type} ${i.integration_method} ${i.integration_uri}" } == {
      connect = "AWS_PROXY POST arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:chat-connect/invocations"
      talk    = "AWS_PROXY POST arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:chat-talk/invocations"
    }
    error_message = jsonencode(values(aws_apigatewayv2_integration.function)[*].integration_uri)
  }

  assert {
    condition     = alltrue([for r in values(aws_apigatewayv2_route.this) : r.authorization_type == "NONE"])
    error_message = "the authorization is always said"
  }
}

run "only_a_two_way_route_answers" {
  assert {
    condition     = keys(aws_apigatewayv2_route_response.this) == ["$default", "ping"]
    error_message = "answering: ${jsonencode(keys(aws_apigatewayv2_route_response.this))}"
  }

  assert {
    condition     = [for r in aws_apigatewayv2_route.this : r.route_key if r.route_response_selection_expression == "$default"] == ["$default", "ping"]
    error_message = "a two-way route needs the selection expression, a one-way route must not have it"
  }

  assert {
    condition     = aws_apigatewayv2_integration_response.reply["ping"].response_templates["$default"] == "{\"type\":\"pong\"}"
    error_message = "the mock's answer: ${jsonencode(aws_apigatewayv2_integration_response.reply["ping"].response_templates)}"
  }
}

run "each_route_may_invoke_its_function_and_no_other_may" {
  assert {
    condition = { for key, p in aws_lambda_permission.route : key => "${p.function_name} ${p.source_arn}" } == {
      "$connect" = "chat-connect arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/$connect"
      "$default" = "chat-talk arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/$default"
      send       = "chat-talk arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/send"
    }
    error_message = jsonencode({ for key, p in aws_lambda_permission.route : key => p.source_arn })
  }

  assert {
    condition     = alltrue([for p in values(aws_lambda_permission.route) : p.principal == "apigateway.amazonaws.com" && p.action == "lambda:InvokeFunction" && p.qualifier == null])
    error_message = "API Gateway may invoke, and do nothing else"
  }
}

run "the_endpoints_are_those_of_the_stage" {
  assert {
    condition     = output.websocket_url == "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/dev"
    error_message = output.websocket_url
  }

  assert {
    condition     = output.management_endpoint == "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/dev"
    error_message = output.management_endpoint
  }
}

run "a_route_says_what_it_takes" {
  variables {
    routes = {
      "$default" = { function = "talk" }
      "chat.send" = {
        function         = "talk"
        api_key_required = true
        operation_name   = "SendMessage"
        request_model    = jsonencode({ type = "object", required = ["message"] })
      }
    }
    api_key_selection_expression = "$context.authorizer.usageIdentifierKey"
  }

  assert {
    condition = (
      aws_apigatewayv2_route.this["chat.send"].api_key_required
      && aws_apigatewayv2_route.this["chat.send"].operation_name == "SendMessage"
      && aws_apigatewayv2_route.this["chat.send"].model_selection_expression == "$request.body.action"
      && aws_apigatewayv2_route.this["chat.send"].request_models == tomap({ "$default" = aws_apigatewayv2_model.request["chat.send"].name })
      && !aws_apigatewayv2_route.this["$default"].api_key_required
      && aws_apigatewayv2_route.this["$default"].model_selection_expression == null
      && aws_apigatewayv2_route.this["$default"].request_models == null
      && aws_apigatewayv2_api.this[0].api_key_selection_expression == "$context.authorizer.usageIdentifierKey"
    )
    error_message = jsonencode(aws_apigatewayv2_route.this)
  }

  # A model's name has letters and digits alone; two routes whose keys differ in other signs have two names.
  assert {
    condition = (
      can(regex("^[A-Za-z0-9]+$", aws_apigatewayv2_model.request["chat.send"].name))
      && jsondecode(aws_apigatewayv2_model.request["chat.send"].schema).required == ["message"]
      && aws_apigatewayv2_model.request["chat.send"].content_type == "application/json"
    )
    error_message = jsonencode(aws_apigatewayv2_model.request)
  }
}

run "keys_that_differ_in_signs_are_told_apart" {
  variables {
    routes = {
      "chat.send" = { function = "talk", request_model = "{}" }
      "chat-send" = { function = "talk", request_model = "{}" }
    }
  }

  assert {
    condition     = length(distinct(values(aws_apigatewayv2_model.request)[*].name)) == 2
    error_message = jsonencode(values(aws_apigatewayv2_model.request)[*].name)
  }
}

run "a_functions_policy_is_not_overfilled" {
  variables {
    routes = merge({ for number in range(60) : "r${number}" => { function = "talk" } }, { "$connect" = { function = "connect" } })
  }

  assert {
    condition = { for key, p in aws_lambda_permission.route : "${p.function_name} ${p.source_arn}" => key } == {
      "chat-connect arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/$connect" = "$connect"
      "chat-talk arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/*"           = "* talk"
    }
    error_message = jsonencode({ for key, p in aws_lambda_permission.route : key => p.source_arn })
  }
}

run "up_to_forty_routes_are_told_apart" {
  variables {
    routes = { for number in range(40) : "r${number}" => { function = "talk" } }
  }

  assert {
    condition     = length(aws_lambda_permission.route) == 40 && alltrue([for key, p in aws_lambda_permission.route : endswith(p.source_arn, "/dev/${key}")])
    error_message = jsonencode(keys(aws_lambda_permission.route))
  }
}

run "long_keys_fill_a_policy_earlier" {
  variables {
    stage  = format("%064d", 0)
    routes = merge({ for number in range(40) : format("%0100d", number) => { function = "talk" } }, { "$connect" = { function = "connect" } })
  }

  assert {
    condition     = keys(aws_lambda_permission.route) == ["$connect", "* talk"]
    error_message = jsonencode(keys(aws_lambda_permission.route))
  }
}

# As many as there is room for: the policy that AWS keeps, with room for the statements of the stage and of the authorizer.
run "a_policy_is_filled_and_has_room" {
  variables {
    stage  = format("%032d", 0)
    routes = { for number in range(30) : format("é%030d", number) => { function = "talk" } }
  }

  assert {
    condition = length(aws_lambda_permission.route) == 30 && 20480 - 1024 > length(base64encode(jsonencode([for p in aws_lambda_permission.route : {
      Sid       = "terraform-20261125180000000000000001"
      Effect    = "Allow"
      Principal = { Service = p.principal }
      Action    = p.action
      Resource  = "arn:aws:lambda:ap-northeast-1:123456789012:function:${p.function_name}"
      Condition = { ArnLike = { "AWS:SourceArn" = p.source_arn } }
    }]))) / 4 * 3
    error_message = jsonencode(keys(aws_lambda_permission.route))
  }
}

run "one_permission_can_be_asked_for" {
  variables {
    functions = {
      connect = { package = "tests/package.zip" }
      talk    = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:talk", stage_permission = true }
    }
  }

  assert {
    condition = { for key, p in aws_lambda_permission.route : key => p.source_arn } == {
      "$connect" = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/$connect"
      "* talk"   = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/*"
    }
    error_message = jsonencode({ for key, p in aws_lambda_permission.route : key => p.source_arn })
  }
}
