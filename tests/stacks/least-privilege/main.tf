# The functions of the chat backend, each with the grants that a test gives it.

terraform {
  required_version = ">= 1.9"
}

variable "connect" {
  type    = set(string)
  default = ["write"]
}

variable "disconnect" {
  type    = set(string)
  default = ["delete"]
}

variable "send" {
  type    = set(string)
  default = ["read", "delete"]
}

variable "send_manages" {
  type    = set(string)
  default = ["POST"]
}

variable "send_history" {
  type    = set(string)
  default = ["write"]
}

variable "subscribe" {
  type    = set(string)
  default = ["read", "write", "delete"]
}

variable "subscribe_history" {
  type    = set(string)
  default = ["read"]
}

variable "subscribe_manages" {
  type    = set(string)
  default = ["POST"]
}

module "websocket" {
  source = "../../../modules/websocket-api"

  name    = "least-privilege"
  history = {}

  functions = {
    connect    = { package = "../../../target/lambda/connect/bootstrap.zip", connections = var.connect }
    disconnect = { package = "../../../target/lambda/disconnect/bootstrap.zip", connections = var.disconnect }
    send       = { package = "../../../target/lambda/send/bootstrap.zip", connections = var.send, history = var.send_history, manage_connections = var.send_manages, timeout = 29 }
    subscribe  = { package = "../../../target/lambda/subscribe/bootstrap.zip", connections = var.subscribe, history = var.subscribe_history, manage_connections = var.subscribe_manages, timeout = 29 }
  }

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    send          = { function = "send", two_way = true }
    subscribe     = { function = "subscribe", two_way = true }
    unsubscribe   = { function = "subscribe", two_way = true }
    list          = { function = "subscribe", two_way = true }
  }
}

module "publisher" {
  source = "../../../modules/publisher"

  name      = "least-privilege"
  package   = "../../../target/lambda/publish/bootstrap.zip"
  websocket = module.websocket
}

output "websocket_url" {
  value = module.websocket.websocket_url
}

output "queue_url" {
  value = module.publisher.queue_url
}

output "table_name" {
  value = module.websocket.table_name
}
