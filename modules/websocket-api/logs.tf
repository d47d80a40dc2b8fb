locals {
  retention_days = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
  log_key        = one(var.logging.kms_key[*].arn)

  # API Gateway takes a group's ARN without the ":*" that is sometimes appended.
  access_log_destinations = concat(
    aws_cloudwatch_log_group.access[*].arn,
    [for destination in var.logging.access_log_destination[*] : trimsuffix(destination.arn, ":*") if var.create],
  )

  # One line for each connect, message and disconnect: its kind, its result, and the source of an error.
  access_log_format = coalesce(var.logging.access_log_format, {
    requestId           = "$context.requestId"
    requestTimeEpoch    = "$context.requestTimeEpoch"
    connectionId        = "$context.connectionId"
    eventType           = "$context.eventType"
    routeKey            = "$context.routeKey"
    status              = "$context.status"
    sourceIp            = "$context.identity.sourceIp"
    userAgent           = "$context.identity.userAgent"
    connectedAt         = "$context.connectedAt"
    disconnectReason    = "$context.disconnectReason"
    principalId         = "$context.authorizer.principalId"
    authorizerError     = "$context.authorizer.error"
    authorizerStatus    = "$context.authorizer.status"
    integrationStatus   = "$context.integration.status"
    integrationError    = "$context.integrationErrorMessage"
    integrationLatency  = "$context.integrationLatency"
    errorMessage        = "$context.error.message"
    errorResponseType   = "$context.error.responseType"
    validationError     = "$context.error.validationErrorString"
    functionRequestId   = "$context.integration.requestId"
    extendedRequestId   = "$context.extendedRequestId"
    authorizerLatency   = "$context.authorizer.latency"
    authorizerRequestId = "$context.authorizer.requestId"
  })
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.made_functions

  name              = "/aws/lambda/${local.lambda_names[each.key]}"
  retention_in_days = coalesce(each.value.log_retention_days, var.logging.retention_days)
  kms_key_id        = local.log_key
  tags              = var.tags
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.create && var.logging.access_logs && var.logging.access_log_destination == null ? 1 : 0

  name              = "/aws/apigateway/${var.name}/${var.stage}/access"
  retention_in_days = var.logging.retention_days
  kms_key_id        = local.log_key
  tags              = var.tags
}

# API Gateway writes to a group of this name. It would create the group itself, and keep the logs forever.
resource "aws_cloudwatch_log_group" "execution" {
  count = var.create && var.logging.execution_level != "OFF" ? 1 : 0

  name              = "/aws/apigateway/${local.api.id}/${var.stage}"
  retention_in_days = var.logging.retention_days
  kms_key_id        = local.log_key
  tags              = var.tags
}
