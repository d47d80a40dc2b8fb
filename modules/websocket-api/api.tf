resource "aws_apigatewayv2_api" "this" {
  count = var.create ? 1 : 0

  name                         = var.name
  description                  = var.description
  protocol_type                = "WEBSOCKET"
  route_selection_expression   = var.route_selection_expression
  api_key_selection_expression = var.api_key_selection_expression
  ip_address_type              = var.ip_address_type
  disable_execute_api_endpoint = local.only_the_domain_answers
  tags                         = var.tags
}

locals {
  api                     = one(aws_apigatewayv2_api.this)
  only_the_domain_answers = try(var.domain.disable_execute_api_endpoint, false)

  # The one place that knows where the API is. AWS gives wss://…; an emulator may give ws://….
  execute_api_url = var.create ? "${local.api.api_endpoint}/${var.stage}" : null
  # Under a domain the stage is not in the path: the mapping has chosen it.
  domain_url    = var.domain == null ? null : join("/", compact(["wss://${var.domain.name}", var.domain.mapping_key]))
  websocket_url = var.create ? coalesce(local.domain_url, local.execute_api_url) : null
  # Posts take the API's own endpoint as long as there is one: it needs no DNS of yours.
  management_endpoint = var.create ? replace(local.only_the_domain_answers ? local.domain_url : local.execute_api_url, "/^ws/", "http") : null
}

# Up to now each deployment was made here. The stage makes its own now; the last one goes with the API.
removed {
  from = aws_apigatewayv2_deployment.this

  lifecycle {
    destroy = false
  }
}

# A stage serves a deployment, a snapshot of the routes. API Gateway makes one after each change, deletions too. One that is
# made here is made before what it depends on is deleted, and would go on serving a route that is gone: see docs/decisions.md.
resource "aws_apigatewayv2_stage" "this" {
  count = var.create ? 1 : 0

  api_id          = local.api.id
  name            = var.stage
  auto_deploy     = true
  stage_variables = var.stage_variables
  tags            = var.tags

  # All of it is always said. Limits left out would become 0, which is 429 for everything.
  default_route_settings {
    throttling_rate_limit    = var.throttling.rate_limit
    throttling_burst_limit   = var.throttling.burst_limit
    logging_level            = var.logging.execution_level
    data_trace_enabled       = var.logging.data_trace
    detailed_metrics_enabled = var.logging.detailed_metrics
  }

  # A route with settings of its own inherits none.
  dynamic "route_settings" {
    for_each = { for key, r in local.routes : key => r if r.throttling_rate_limit != null || r.throttling_burst_limit != null }

    content {
      route_key                = route_settings.key
      throttling_rate_limit    = coalesce(route_settings.value.throttling_rate_limit, var.throttling.rate_limit)
      throttling_burst_limit   = coalesce(route_settings.value.throttling_burst_limit, var.throttling.burst_limit)
      logging_level            = var.logging.execution_level
      data_trace_enabled       = var.logging.data_trace
      detailed_metrics_enabled = var.logging.detailed_metrics
    }
  }

  dynamic "access_log_settings" {
    for_each = local.access_log_destinations

    content {
      destination_arn = access_log_settings.value
      format          = jsonencode(local.access_log_format)
    }
  }

  depends_on = [
    # What is served first is all of it.
    aws_apigatewayv2_route.this,
    aws_apigatewayv2_route_response.this,
    # Without the group API Gateway makes one, which never ends.
    aws_cloudwatch_log_group.execution,
  ]

  # A domain's mapping leaves a stage of the old name before that goes.
  lifecycle {
    create_before_destroy = true
  }
}
