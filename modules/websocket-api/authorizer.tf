locals {
  # API Gateway's word for how $connect is guarded.
  authorization_type = var.authorizer == null ? "NONE" : var.authorizer.iam ? "AWS_IAM" : "CUSTOM"
}

resource "aws_apigatewayv2_authorizer" "this" {
  count = var.create && local.authorization_type == "CUSTOM" ? 1 : 0

  api_id           = local.api.id
  name             = var.authorizer.function
  authorizer_type  = "REQUEST" # WebSocket APIs have no other, and no cache of answers either.
  authorizer_uri   = local.invoke_arns[var.authorizer.function]
  identity_sources = var.authorizer.identity_sources

  # A route that points at it would keep the old one from going.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lambda_permission" "authorizer" {
  count = length(aws_apigatewayv2_authorizer.this)

  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = local.function_names[var.authorizer.function]
  qualifier     = local.qualifiers[var.authorizer.function]
  source_arn    = "${local.api.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.this[0].id}"
}
