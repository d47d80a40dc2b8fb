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

  # Another function, or an alias of it, is allowed before it is asked.
  depends_on = [aws_lambda_permission.authorizer]

  # A route that points at it would keep the old one from going.
  lifecycle {
    create_before_destroy = true
  }
}

# By whichever authorizer of this API, and there is one at most: by its id, the permission would come after the authorizer,
# and clients would be answered 500 until it is there.
resource "aws_lambda_permission" "authorizer" {
  count = var.create && local.authorization_type == "CUSTOM" ? 1 : 0

  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = local.function_names[var.authorizer.function]
  qualifier     = local.qualifiers[var.authorizer.function]
  source_arn    = "${local.api.execution_arn}/authorizers/*"

  depends_on = [aws_lambda_alias.warm]
}
