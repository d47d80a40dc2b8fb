# The chat backend: everybody who is connected, or in a channel, hears what anybody sends there, or a backend publishes.

module "websocket" {
  source = "../modules/websocket-api"

  name       = "${var.name}-${var.stage}"
  stage      = var.stage
  throttling = var.throttling
  logging    = { retention_days = var.log_retention_days }
  alarms     = var.alarms
  dashboard  = var.dashboard
  history    = var.history
  tags       = local.tags
  roles      = { permissions_boundary = var.permissions_boundary }

  global_name_suffix = var.global_name_suffix

  functions = {
    connect = {
      package     = "${var.packages}/connect/bootstrap.zip"
      connections = ["write"]
      environment = { SUBPROTOCOLS = join(",", var.subprotocols) }
    }
    disconnect = {
      package           = "${var.packages}/disconnect/bootstrap.zip"
      connections       = ["read", "delete"]
      environment       = local.publishes
      policy_statements = module.publisher.send_statements
    }
    default = {
      package     = "${var.packages}/default/bootstrap.zip"
      environment = { ACTIONS = join(",", local.actions) }
    }
    send = {
      package            = "${var.packages}/send/bootstrap.zip"
      connections        = ["read", "delete"]
      history            = local.writes
      manage_connections = ["POST"]
      memory_size        = 512 # Memory is CPU: a broadcast is as fast as it can sign requests.
      timeout            = 28
      # Whom it has no time for, the publisher reaches.
      environment       = local.publishes
      policy_statements = module.publisher.send_statements
    }
    subscribe = {
      package            = "${var.packages}/subscribe/bootstrap.zip"
      connections        = ["read", "write", "delete"]
      history            = local.reads
      manage_connections = local.replays
      timeout            = 28 # Who missed much hears it message by message.
      environment        = local.publishes
      policy_statements  = module.publisher.send_statements
    }
  }

  routes = local.routes
}

module "publisher" {
  source = "../modules/publisher"

  name        = "${var.name}-${var.stage}"
  package     = "${var.packages}/publish/bootstrap.zip"
  websocket   = module.websocket
  environment = local.announces
  logging     = { retention_days = var.log_retention_days }
  alarms      = var.alarms
  tags        = local.tags
  roles       = { permissions_boundary = var.permissions_boundary }

  global_name_suffix = var.global_name_suffix
}

locals {
  # By its tag, the roles that deploy tell the API of one stage from that of another.
  tags = merge(var.tags, { stack = "${var.name}-${var.stage}" })

  routes = {
    "$connect"    = { function = "connect" }
    "$disconnect" = { function = "disconnect" }
    "$default"    = { function = "default", two_way = true }
    send          = { function = "send", two_way = true }
    subscribe     = { function = "subscribe", two_way = true }
    unsubscribe   = { function = "subscribe", two_way = true }
    list          = { function = "subscribe", two_way = true }
    # A client's heartbeat, answered by API Gateway itself: an idle connection is closed after 10 minutes.
    ping = { mock = jsonencode({ type = "pong" }) }
  }
  actions = [for key in keys(local.routes) : key if !startswith(key, "$")]

  announces = { ANNOUNCE_CHANNELS = join(" ", var.announced_channels) }
  publishes = merge(local.announces, { PUBLISH_QUEUE_URL = module.publisher.queue_url })

  # Where there is a history.
  writes  = var.history == null ? [] : ["write"]
  reads   = var.history == null ? [] : ["read"]
  replays = var.history == null ? [] : ["POST"]
}
