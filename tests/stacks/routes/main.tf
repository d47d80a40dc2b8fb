# A stack whose routes, functions and authorizer a test changes.

terraform {
  required_version = ">= 1.9"
}

variable "functions" {
  type    = set(string)
  default = ["one", "two"]
}

variable "guards" {
  description = "Functions that can be the authorizer, and how many of each are kept warm."
  type        = map(number)
  default     = {}
}

variable "routes" {
  type = any
}

variable "authorizer" {
  type    = any
  default = null
}

module "websocket" {
  source = "../../../modules/websocket-api"

  name = "routes"

  functions = merge(
    { for name in var.functions : name => { package = "answer.zip", runtime = "python3.12", handler = "answer.handler", environment = { NAME = name } } },
    { for name, warm in var.guards : name => { package = "answer.zip", runtime = "python3.12", handler = "answer.guard", provisioned_concurrency = warm } },
  )

  routes     = var.routes
  authorizer = var.authorizer
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
