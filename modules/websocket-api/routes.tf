locals {
  routes          = var.create ? var.routes : {}
  function_routes = { for key, r in local.routes : key => r if r.function != null }

  # The fixed answers. A route is two-way if it has one, or if its function or HTTP endpoint may answer.
  replies = { for key, r in local.routes : key =>
    r.mock != null ? r.mock : r.queue != null ? r.queue.reply : try(r.service.method, null) != null ? r.service.reply : null
  }
  two_way = { for key, r in local.routes : key => r.two_way || local.replies[key] != null && !contains(["$connect", "$disconnect"], key) }

  # Route keys in letters and digits, for the names of resources that belong to one route.
  labels = { for key in keys(local.routes) : key => "${substr(replace(key, "/[^A-Za-z0-9]/", ""), 0, 12)}${substr(sha1(key), 0, 6)}" }
}

resource "aws_apigatewayv2_route" "this" {
  for_each = local.routes

  api_id    = local.api.id
  route_key = each.key
  target = join("/", ["integrations", each.value.function == null
    ? aws_apigatewayv2_integration.route[each.key].id
    : aws_apigatewayv2_integration.function[each.value.function].id
  ])

  # Always given: if it were left out, an earlier authorizer would remain.
  authorization_type = each.key == "$connect" ? local.authorization_type : "NONE"
  authorizer_id      = each.key == "$connect" ? one(aws_apigatewayv2_authorizer.this[*].id) : null
  api_key_required   = each.value.api_key_required
  operation_name     = each.value.operation_name

  # Without the expression nothing is checked. There is only one model: it applies to every value that the expression finds.
  model_selection_expression = each.value.request_model == null ? null : var.route_selection_expression
  request_models             = each.value.request_model == null ? null : { "$default" = aws_apigatewayv2_model.request[each.key].name }

  route_response_selection_expression = local.two_way[each.key] ? "$default" : null

  # A route is served as soon as it exists, so its target must be complete.
  depends_on = [aws_apigatewayv2_integration_response.reply]
}

resource "aws_apigatewayv2_route_response" "this" {
  for_each = { for key, two_way in local.two_way : key => two_way if two_way }

  api_id             = local.api.id
  route_id           = aws_apigatewayv2_route.this[each.key].id
  route_response_key = "$default"
}

resource "aws_apigatewayv2_model" "request" {
  for_each = { for key, r in local.routes : key => r if r.request_model != null }

  api_id       = local.api.id
  name         = local.labels[each.key]
  content_type = "application/json"
  schema       = each.value.request_model

  # A route that refers to the old model would block its deletion.
  lifecycle {
    create_before_destroy = true
  }
}
