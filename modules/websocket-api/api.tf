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

  # The API's URL is composed here only. AWS gives wss://…; an emulator may give ws://….
  execute_api_url = var.create ? "${local.api.api_endpoint}/${var.stage}" : null
  # Under a domain the stage is not in the path: the mapping selects it.
  domain_url    = var.domain == null ? null : join("/", compact(["wss://${var.domain.name}", var.domain.mapping_key]))
  websocket_url = var.create ? coalesce(local.domain_url, local.execute_api_url) : null
  # Posts go to the API's own endpoint unless it is disabled: it needs no DNS of yours.
  management_endpoint = var.create ? replace(local.only_the_domain_answers ? local.domain_url : local.execute_api_url, "/^ws/", "http") : null
}

# Earlier versions created each deployment here. Now the stage makes its own. The last one is deleted with the API.
removed {
  from = aws_apigatewayv2_deployment.this

  lifecycle {
    destroy = false
  }
}

# A stage serves a deployment, which is a snapshot of the routes. API Gateway makes one after each change, deletions too.
# Terraform would create its deployment before it deletes a route, so the stage would go on serving the deleted route: see
# docs/decisions.md.
resource "aws_apigatewayv2_stage" "this" {
  count = var.create ? 1 : 0

  api_id          = local.api.id
  name            = var.stage
  auto_deploy     = true
  stage_variables = var.stage_variables
  tags            = var.tags

  # Every setting is always given. A limit that is left out would become 0: every request would be answered with 429.
  default_route_settings {
    throttling_rate_limit    = var.throttling.rate_limit
    throttling_burst_limit   = var.throttling.burst_limit
    logging_level            = var.logging.execution_level
    data_trace_enabled       = var.logging.data_trace
    detailed_metrics_enabled = var.logging.detailed_metrics
  }

  # A route with its own settings inherits none of the stage's.
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
    # The first deployment has all routes.
    aws_apigatewayv2_route.this,
    aws_apigatewayv2_route_response.this,
    # Without this group, API Gateway creates one that keeps its logs forever.
    aws_cloudwatch_log_group.execution,
  ]

  # If the stage gets a new name, the domain's mapping leaves the old stage before that is deleted.
  lifecycle {
    create_before_destroy = true
  }
}
