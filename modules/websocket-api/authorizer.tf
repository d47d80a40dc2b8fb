locals {
  # API Gateway's name for the authorization of $connect.
  authorization_type = var.authorizer == null ? "NONE" : var.authorizer.iam ? "AWS_IAM" : "CUSTOM"
}

resource "aws_apigatewayv2_authorizer" "this" {
  count = var.create && local.authorization_type == "CUSTOM" ? 1 : 0

  api_id           = local.api.id
  name             = var.authorizer.function
  authorizer_type  = "REQUEST" # WebSocket APIs have no other type, and no cache of answers.
  authorizer_uri   = local.invoke_arns[var.authorizer.function]
  identity_sources = var.authorizer.identity_sources

  # A new function, or a new alias, gets its permission before the authorizer invokes it.
  depends_on = [aws_lambda_permission.authorizer]

  # A route that refers to the old authorizer would block its deletion.
  lifecycle {
    create_before_destroy = true
  }
}

# The permission is for any authorizer of this API, which has one at most. A permission with the authorizer's id would be
# created after the authorizer, and clients would be answered with 500 until then.
resource "aws_lambda_permission" "authorizer" {
  count = var.create && local.authorization_type == "CUSTOM" ? 1 : 0

  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = local.function_names[var.authorizer.function]
  qualifier     = local.qualifiers[var.authorizer.function]
  source_arn    = "${local.api.execution_arn}/authorizers/*"

  depends_on = [aws_lambda_alias.warm]
}
