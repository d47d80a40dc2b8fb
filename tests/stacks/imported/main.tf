# An API that was made by hand, and is served already, in the hands of the module.

terraform {
  required_version = ">= 1.9"
}

variable "api" {
  description = "The ids of the API, and of its one route and its integration."
  type        = object({ id = string, route = string, integration = string })
}

import {
  to = module.websocket.aws_apigatewayv2_api.this[0]
  id = var.api.id
}

import {
  to = module.websocket.aws_apigatewayv2_integration.route["$default"]
  id = "${var.api.id}/${var.api.integration}"
}

import {
  to = module.websocket.aws_apigatewayv2_route.this["$default"]
  id = "${var.api.id}/${var.api.route}"
}

import {
  to = module.websocket.aws_apigatewayv2_stage.this[0]
  id = "${var.api.id}/live"
}

module "websocket" {
  source = "../../../modules/websocket-api"

  name   = "imported"
  routes = { "$default" = { mock = jsonencode({ type = "answer", function = "module" }) } }
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
