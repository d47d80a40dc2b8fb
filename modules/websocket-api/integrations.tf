# One integration per function, however many routes lead to it.
resource "aws_apigatewayv2_integration" "function" {
  for_each = toset(values(local.function_routes)[*].function)

  api_id             = local.api.id
  integration_type   = "AWS_PROXY"
  integration_method = "POST"
  integration_uri    = local.invoke_arns[each.key]

  # A new function, or a new alias, gets its permission before it is invoked.
  depends_on = [aws_lambda_permission.route]

  # A route that refers to the old integration would block its deletion.
  lifecycle {
    create_before_destroy = true
  }
}

# One permission per route: that route of that stage can invoke the function, and no other. If the function's policy has no
# room for all of them, or if `stage_permission` is set, there is one permission for the stage.
resource "aws_lambda_permission" "route" {
  for_each = local.permissions

  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = local.function_names[each.value.function]
  qualifier     = local.qualifiers[each.value.function]
  source_arn    = "${local.stage_arn}/${each.value.route}"

  # While a permission is replaced, the old one still allows requests.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_lambda_alias.warm]
}

locals {
  # The greatest size in bytes of a route's statement in its function's policy. Values that are known only at apply, or only
  # in the function's own stack, count with their greatest length.
  statement_bytes = { for key, r in local.function_routes : key => 1 + length(base64encode(jsonencode({
    Sid       = "terraform-YYYYMMDDhhmmssffffffffffff00000000"
    Effect    = "Allow"
    Principal = { Service = "apigateway.amazonaws.com" }
    Action    = "lambda:InvokeFunction"
    Resource  = "arn:aws-us-gov:lambda:us-isof-south-1:123456789012:function:${try("${local.lambda_names[r.function]}:${local.warm_alias}", format("%0193d", 0))}"
    Condition = { ArnLike = { "AWS:SourceArn" = "arn:aws-us-gov:execute-api:us-isof-south-1:123456789012:a1b2c3d4e5/${var.stage}/${key}" } }
  }))) / 4 * 3 }
  routes_by_function = { for key, r in local.function_routes : r.function => key... }

  # A function's policy has 20,480 bytes. Room is left for the authorizer's statement, for some statements of other stacks, and
  # for the stage's statement, which is added before the routes' statements are deleted.
  policy_bytes = 20480 - 4 * 512
  stage_permissions = { for name, keys in local.routes_by_function : name =>
    var.functions[name].stage_permission || sum([for key in keys : local.statement_bytes[key]]) > local.policy_bytes
  }
  permissions = merge(
    { for key, r in local.function_routes : key => { function = r.function, route = key } if !local.stage_permissions[r.function] },
    { for name, whole in local.stage_permissions : "* ${name}" => { function = name, route = "*" } if whole },
  )
}

locals {
  # The key of the only template. In an expression, its dollar sign is escaped.
  template_key = "$default"

  # The integrations of routes without a function.
  route_integrations = { for key, i in merge(
    { for key, r in local.routes : key => { type = "MOCK", template = jsonencode({ statusCode = 200 }) } if r.mock != null },
    { for key, r in local.routes : key => {
      type    = "HTTP_PROXY"
      uri     = r.http.url
      method  = r.http.method
      headers = merge({ connectionId = "context.connectionId" }, r.http.headers)
      # The condition reads an attribute that is never sensitive, since it decides which resources exist.
    } if try(r.http.method, null) != null },
    { for key, r in local.routes : key => {
      type    = "AWS"
      uri     = "${replace(r.queue.arn, "/^(arn:[^:]+):sqs:([^:]+):.*$/", "$1:apigateway:$2:sqs:path/")}${join("/", slice(split(":", r.queue.arn), 4, 6))}"
      method  = "POST"
      headers = { Content-Type = "'application/x-www-form-urlencoded'" }
      template = join("&", concat(
        local.send_message,
        # A connect or a disconnect has no message, and the queue accepts no empty one.
        [contains(["$connect", "$disconnect"], key) ? "MessageBody=$context.eventType" : "MessageBody=$util.urlEncode($input.body)"],
        endswith(r.queue.arn, ".fifo") ? local.send_message_in_order : [],
      ))
    } if r.queue != null },
    { for key, r in local.routes : key => {
      type     = "AWS"
      uri      = r.service.uri
      method   = r.service.method
      headers  = r.service.headers
      template = r.service.template
    } if try(r.service.method, null) != null },
    ) : key => {
    type     = i.type
    uri      = try(i.uri, null)
    method   = try(i.method, null)
    template = try(i.template, null)
    headers  = { for name, value in try(i.headers, {}) : "integration.request.header.${name}" => value }
    reply    = local.replies[key]
    role     = i.type == "AWS" ? "${var.name}-${local.labels[key]}${local.global_suffix}" : null
  } }

  # The parameters of SQS's SendMessage. Every value is encoded, so that a client's text stays a value.
  send_message = concat(
    ["Action=SendMessage"],
    flatten([for number, name in ["connectionId", "requestId", "routeKey"] : [
      "MessageAttribute.${number + 1}.Name=${name}",
      "MessageAttribute.${number + 1}.Value.DataType=String",
      "MessageAttribute.${number + 1}.Value.StringValue=$util.urlEncode($context.${name})",
    ]]),
  )
  send_message_in_order = ["MessageGroupId=$util.urlEncode($context.connectionId)", "MessageDeduplicationId=$util.urlEncode($context.requestId)"]
}

resource "aws_apigatewayv2_integration" "route" {
  for_each = local.route_integrations

  api_id                        = local.api.id
  integration_type              = each.value.type
  integration_method            = each.value.method
  integration_uri               = each.value.uri
  credentials_arn               = each.value.type == "AWS" ? aws_iam_role.route[each.key].arn : null
  request_parameters            = each.value.headers
  template_selection_expression = each.value.template == null ? null : "\\${local.template_key}"
  request_templates             = each.value.template == null ? null : { (local.template_key) = each.value.template }
  passthrough_behavior          = each.value.type == "AWS" ? "NEVER" : null

  depends_on = [aws_iam_role_policy.route]

  lifecycle {
    create_before_destroy = true
  }
}

# API Gateway's answer for a mock, or for a service that has answered 200.
resource "aws_apigatewayv2_integration_response" "reply" {
  for_each = { for key, i in local.route_integrations : key => i if i.reply != null }

  api_id                        = local.api.id
  integration_id                = aws_apigatewayv2_integration.route[each.key].id
  integration_response_key      = "/200/"
  template_selection_expression = "\\${local.template_key}"
  response_templates            = { (local.template_key) = each.value.reply }
}
