locals {
  function_routes = { for key, r in var.routes : key => r if r.function != null }
  mock_routes     = { for key, r in var.routes : key => r if r.mock != null }
  two_way         = { for key, r in var.routes : key => r.two_way || r.mock != null }
  used_functions  = toset(values(local.function_routes)[*].function)

  # What a mock is made of. The deployment's hash reads it too.
  mock_template  = "$default"
  mock_request   = jsonencode({ statusCode = 200 })
  mock_responses = { for key, r in local.mock_routes : key => r.mock }
}

resource "aws_apigatewayv2_route" "this" {
  for_each = var.routes

  api_id                              = aws_apigatewayv2_api.this.id
  route_key                           = each.key
  authorization_type                  = "NONE" # Left out, an authorizer that was there stays there.
  route_response_selection_expression = local.two_way[each.key] ? "$default" : null
  target = join("/", ["integrations", each.value.mock == null
    ? aws_apigatewayv2_integration.function[each.value.function].id
    : aws_apigatewayv2_integration.mock[each.key].id
  ])
}

resource "aws_apigatewayv2_route_response" "this" {
  for_each = { for key, two_way in local.two_way : key => two_way if two_way }

  api_id             = aws_apigatewayv2_api.this.id
  route_id           = aws_apigatewayv2_route.this[each.key].id
  route_response_key = "$default"
}

# One integration per function, however many routes lead to it.
resource "aws_apigatewayv2_integration" "function" {
  for_each = local.used_functions

  api_id             = aws_apigatewayv2_api.this.id
  integration_type   = "AWS_PROXY"
  integration_method = "POST"
  integration_uri    = local.invoke_arns[each.key]

  # A route that points at it would keep the old one from going.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_integration" "mock" {
  for_each = local.mock_routes

  api_id                        = aws_apigatewayv2_api.this.id
  integration_type              = "MOCK"
  template_selection_expression = "\\${local.mock_template}"
  request_templates             = { (local.mock_template) = local.mock_request }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_integration_response" "mock" {
  for_each = local.mock_routes

  api_id                        = aws_apigatewayv2_api.this.id
  integration_id                = aws_apigatewayv2_integration.mock[each.key].id
  integration_response_key      = "/200/"
  template_selection_expression = "\\${local.mock_template}"
  response_templates            = { (local.mock_template) = local.mock_responses[each.key] }
}

# One permission per route: the function can be invoked by that route of that stage, and by no other.
resource "aws_lambda_permission" "route" {
  for_each = local.function_routes

  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = local.function_names[each.value.function]
  qualifier     = local.qualifiers[each.value.function]
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/${each.key}"
}
