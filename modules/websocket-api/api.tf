resource "aws_apigatewayv2_api" "this" {
  name                       = var.name
  protocol_type              = "WEBSOCKET"
  route_selection_expression = var.route_selection_expression
  tags                       = var.tags
}

locals {
  # The one place that knows where the API is. AWS gives wss://…; an emulator may give ws://….
  websocket_url       = "${aws_apigatewayv2_api.this.api_endpoint}/${var.stage}"
  management_endpoint = replace(local.websocket_url, "/^ws/", "http")
}

# A stage serves a deployment, a snapshot of the routes. What the snapshot is made of is hashed here, as it was put in:
# a hash of the resources would change once more after each apply, and redeploy for nothing.
resource "aws_apigatewayv2_deployment" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  description = "Made by Terraform"

  triggers = {
    inputs = sha256(jsonencode({
      route_selection_expression = var.route_selection_expression
      routes                     = { for key, two_way in local.two_way : key => { two_way = two_way } }
      functions                  = { for key, r in local.function_routes : key => try(local.lambda_names[r.function], var.functions[r.function].arn) }
      mocks                      = { for key in keys(local.mock_routes) : key => [local.mock_request, local.mock_responses[key]] }
    }))
  }

  # The stage leaves the old deployment before it goes.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [
    aws_apigatewayv2_route.this,
    aws_apigatewayv2_route_response.this,
    aws_apigatewayv2_integration_response.mock,
    aws_lambda_permission.route, # A route that is live must be allowed to invoke.
  ]
}

resource "aws_apigatewayv2_stage" "this" {
  api_id        = aws_apigatewayv2_api.this.id
  name          = var.stage
  deployment_id = aws_apigatewayv2_deployment.this.id
  tags          = var.tags

  # Unset limits would become 0, which is 429 for everything.
  default_route_settings {
    throttling_rate_limit  = var.throttling.rate_limit
    throttling_burst_limit = var.throttling.burst_limit
  }

  dynamic "route_settings" {
    for_each = { for key, r in var.routes : key => r if r.throttling_rate_limit != null || r.throttling_burst_limit != null }

    content {
      route_key              = route_settings.key
      throttling_rate_limit  = coalesce(route_settings.value.throttling_rate_limit, var.throttling.rate_limit)
      throttling_burst_limit = coalesce(route_settings.value.throttling_burst_limit, var.throttling.burst_limit)
    }
  }
}
