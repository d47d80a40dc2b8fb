# The chat backend: everyone, or each member of a channel, receives the messages that clients send there or a backend publishes.

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
      package     = local.code["connect"].package
      s3          = local.code["connect"].s3
      connections = ["write"]
      environment = { SUBPROTOCOLS = join(",", var.subprotocols) }
    }
    disconnect = {
      package           = local.code["disconnect"].package
      s3                = local.code["disconnect"].s3
      connections       = ["delete"]
      environment       = local.publishes
      policy_statements = module.publisher.delivery_statements
    }
    default = {
      package     = local.code["default"].package
      s3          = local.code["default"].s3
      environment = { ACTIONS = join(",", local.actions) }
    }
    send = {
      package            = local.code["send"].package
      s3                 = local.code["send"].s3
      connections        = ["read", "delete"]
      history            = local.writes
      manage_connections = ["POST"]
      memory_size        = 512 # More memory brings more CPU: a broadcast is as fast as it can sign requests.
      timeout            = 28
      # The publisher reaches the recipients that `send` has no time for.
      environment       = local.publishes
      policy_statements = module.publisher.delivery_statements
    }
    subscribe = {
      package            = local.code["subscribe"].package
      s3                 = local.code["subscribe"].s3
      connections        = ["read", "write", "delete"]
      history            = local.reads
      manage_connections = local.replays
      timeout            = 28 # A client that missed much receives it message by message.
      environment        = local.publishes
      policy_statements  = module.publisher.delivery_statements
    }
  }

  routes = local.routes
}

module "publisher" {
  source = "../modules/publisher"

  name        = "${var.name}-${var.stage}"
  package     = local.code["publish"].package
  s3          = local.code["publish"].s3
  websocket   = module.websocket
  environment = local.announces
  logging     = { retention_days = var.log_retention_days }
  alarms      = var.alarms
  tags        = local.tags
  roles       = { permissions_boundary = var.permissions_boundary }

  global_name_suffix = var.global_name_suffix
}

locals {
  packages = { for name in ["connect", "disconnect", "default", "publish", "send", "subscribe"] : name => "${var.packages}/${name}/bootstrap.zip" }

  code = { for name, path in local.packages : name => {
    package = var.packages_bucket == null ? path : null
    s3      = var.packages_bucket == null ? null : { bucket = var.packages_bucket, key = aws_s3_object.package[name].key }
  } }
}

# With packages in a bucket, functions are created in parallel. Another program has another key, so its function is updated.
resource "aws_s3_object" "package" {
  for_each = var.packages_bucket == null ? {} : local.packages

  bucket = var.packages_bucket
  key    = "${var.name}-${var.stage}/${each.key}-${try(filesha256(each.value), "none")}.zip" # Destroying needs no package.
  source = each.value
}

locals {
  # By the tag `stack`, the roles that deploy tell the API of one stage from that of another.
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
  publishes = merge(local.announces, { DELIVERY_QUEUE_URL = module.publisher.delivery_queue_url })

  # The grants for the history, if there is one.
  writes  = var.history == null ? [] : ["write"]
  reads   = var.history == null ? [] : ["read"]
  replays = var.history == null ? [] : ["POST"]
}
