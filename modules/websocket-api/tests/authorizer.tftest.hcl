# Who may connect.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  stage     = "dev"
  functions = { f = { package = "tests/package.zip" }, guard = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:guard:live" } }
  routes    = { "$connect" = { function = "f" }, "$default" = { function = "f" } }
}

run "by_default_nobody_is_asked" {
  assert {
    condition     = length(aws_apigatewayv2_authorizer.this) == 0 && output.authorizer_id == null
    error_message = "there is an authorizer"
  }

  assert {
    condition     = alltrue([for r in values(aws_apigatewayv2_route.this) : r.authorization_type == "NONE" && r.authorizer_id == null])
    error_message = "the authorization is said, for every route"
  }
}

run "a_function_is_asked_on_connect_alone" {
  variables {
    authorizer = { function = "guard", identity_sources = ["route.request.querystring.token"] }
  }

  assert {
    condition = { for key, r in aws_apigatewayv2_route.this : key => join(" ", compact([r.authorization_type, r.authorizer_id])) } == {
      "$connect" = "CUSTOM auth01"
      "$default" = "NONE"
    }
    error_message = jsonencode({ for key, r in aws_apigatewayv2_route.this : key => [r.authorization_type, r.authorizer_id] })
  }

  # Only what WebSocket APIs allow: no cache, no payload version, no simple answers.
  assert {
    condition = (
      aws_apigatewayv2_authorizer.this[0].authorizer_type == "REQUEST"
      && aws_apigatewayv2_authorizer.this[0].authorizer_uri == "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:guard:live/invocations"
      && aws_apigatewayv2_authorizer.this[0].identity_sources == toset(["route.request.querystring.token"])
      && aws_apigatewayv2_authorizer.this[0].authorizer_payload_format_version == null
      && aws_apigatewayv2_authorizer.this[0].enable_simple_responses == null
    )
    error_message = jsonencode(aws_apigatewayv2_authorizer.this)
  }

  assert {
    condition = (
      aws_lambda_permission.authorizer[0].source_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/authorizers/*"
      && aws_lambda_permission.authorizer[0].function_name == "arn:aws:lambda:eu-central-1:123456789012:function:guard"
      && aws_lambda_permission.authorizer[0].qualifier == "live"
    )
    error_message = "the API's authorizer may invoke the function, and nothing else may: ${jsonencode(aws_lambda_permission.authorizer)}"
  }

  assert {
    condition     = output.authorizer_id == "auth01"
    error_message = "another stack finds the authorizer"
  }
}

run "with_iam_the_handshake_is_signed" {
  variables {
    authorizer = { iam = true }
  }

  assert {
    condition = { for key, r in aws_apigatewayv2_route.this : key => r.authorization_type } == {
      "$connect" = "AWS_IAM"
      "$default" = "NONE"
    }
    error_message = jsonencode({ for key, r in aws_apigatewayv2_route.this : key => r.authorization_type })
  }

  assert {
    condition     = length(aws_apigatewayv2_authorizer.this) + length(aws_lambda_permission.authorizer) == 0
    error_message = "no function is asked"
  }
}

run "an_authorizer_needs_no_function_of_connect_beside_it" {
  variables {
    routes     = { "$connect" = { mock = "" }, "$default" = { function = "f" } }
    authorizer = { function = "guard" }
  }

  assert {
    condition = (
      aws_apigatewayv2_integration.route["$connect"].integration_type == "MOCK"
      && aws_apigatewayv2_route.this["$connect"].authorization_type == "CUSTOM"
      && aws_apigatewayv2_route.this["$connect"].route_response_selection_expression == null
      && length(aws_apigatewayv2_route_response.this) == 0
    )
    error_message = jsonencode(aws_apigatewayv2_route.this["$connect"])
  }
}
