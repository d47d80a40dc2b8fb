variable "name" {
  description = "The name of the API, and the first part of the names of all that belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,39}$", var.name))
    error_message = "name takes 1 to 40 letters, digits and hyphens, and starts with a letter: it becomes part of the names of functions, roles and a table."
  }
}

variable "stage" {
  description = "The stage's name, the last part of the URL."
  type        = string
  default     = "live"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.stage))
    error_message = "stage takes 1 to 128 letters, digits, hyphens and underscores. A WebSocket API has no \"$default\" stage; name it \"live\", \"dev\" or the like."
  }
}

variable "functions" {
  description = <<-EOT
    The functions behind the routes, by a name of your choice. Each is either made here from `package`, the path of a zip,
    or an existing one named by `arn`, which keeps its own role and environment.

    - `package`: the path of a zip. Its content is what is deployed: a new zip at the same path is a new version.
    - `arn`: the function's ARN, with `:ALIAS` behind it if you like.
    - `connections`: what the function does with the connection table: `read` who is in a channel, `write` who joins one, `delete` who is gone from all.
    - `manage_connections`: what it does with connections of this API: `POST` a message, `GET` their state, `DELETE` (close) them.
    - `architecture`: `arm64` or `x86_64`.
    - `runtime`: Lambda's name of the runtime.
    - `handler`: what the runtime calls; programs in Rust are called `bootstrap`.
    - `memory_size`: in MB; CPU comes with it.
    - `timeout`: in seconds, 29 at most: API Gateway waits no longer.
    - `environment`: variables beside those that the module sets: `CONNECTION_TABLE` where `connections` grants anything, and `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI` where `manage_connections` does.
  EOT
  type = map(object({
    package            = optional(string)
    arn                = optional(string)
    connections        = optional(set(string), [])
    manage_connections = optional(set(string), [])
    architecture       = optional(string, "arm64")
    runtime            = optional(string, "provided.al2023")
    handler            = optional(string, "bootstrap")
    memory_size        = optional(number, 256)
    timeout            = optional(number, 10)
    environment        = optional(map(string), {})
  }))

  validation {
    condition     = alltrue([for key in keys(var.functions) : can(regex("^[A-Za-z0-9-]{1,23}$", key))])
    error_message = "A function's name takes 1 to 23 letters, digits and hyphens: with the API's name before it, it becomes the Lambda function's, which has 64 at most."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : (f.package == null) != (f.arn == null)])
    error_message = "Each function takes either package, the path of a zip to make it from, or arn, an existing function; not both, not neither."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.arn == null ? true : can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:]+)?$", f.arn))])
    error_message = "A function's arn has the form arn:aws:lambda:REGION:ACCOUNT:function:NAME, with :ALIAS behind it if you like. It is the function's arn, not its invoke_arn."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.arn == null || length(f.connections) + length(f.manage_connections) + length(f.environment) == 0])
    error_message = "A function given by arn keeps its own role and environment: leave connections, manage_connections and environment out, and use the outputs of this module in its own stack."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : length(setsubtract(f.connections, ["read", "write", "delete"])) == 0])
    error_message = "A function's connections takes \"read\", \"write\" and \"delete\"."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : length(setsubtract(f.manage_connections, ["POST", "GET", "DELETE"])) == 0])
    error_message = "A function's manage_connections takes \"POST\", \"GET\" and \"DELETE\"."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : contains(["arm64", "x86_64"], f.architecture)])
    error_message = "A function's architecture is \"arm64\" or \"x86_64\"."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.timeout >= 1 && f.timeout <= 29])
    error_message = "A function's timeout is 1 to 29 seconds: API Gateway waits no longer than 29 seconds for it."
  }
}

variable "routes" {
  description = <<-EOT
    The routes, by route key: `$connect`, `$disconnect`, `$default`, or the value that `route_selection_expression` finds in
    a message. Each goes to a `function` of the map above, or is answered with the fixed text of `mock` without any function.

    - `function`: the name of one in `functions`.
    - `mock`: the text to answer, without `$` and `#`. Such a route is always two-way.
    - `two_way`: whether what the function returns goes back to the client.
    - `throttling_rate_limit`: messages a second, instead of the stage's limit.
    - `throttling_burst_limit`: messages at once, instead of the stage's limit.
  EOT
  type = map(object({
    function               = optional(string)
    mock                   = optional(string)
    two_way                = optional(bool, false)
    throttling_rate_limit  = optional(number)
    throttling_burst_limit = optional(number)
  }))

  validation {
    condition     = length(var.routes) > 0
    error_message = "An API needs a route. Start with $connect, $disconnect and $default."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : (r.function == null) != (r.mock == null)])
    error_message = "Each route takes either function, the name of one in functions, or mock, the text to answer; not both, not neither."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.function == null ? true : contains(keys(var.functions), r.function)])
    error_message = "These routes name a function that is not in functions: ${join(", ", [for key, r in var.routes : "${key} (${r.function})" if r.function == null ? false : !contains(keys(var.functions), r.function)])}."
  }

  validation {
    condition     = alltrue([for key, r in var.routes : !contains(["$connect", "$disconnect"], key) || (r.mock == null && !r.two_way)])
    error_message = "$connect and $disconnect cannot answer: before the one and after the other there is no connection. Leave mock and two_way out."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.mock == null ? true : !can(regex("[$#]", r.mock))])
    error_message = "A mock's text holds neither $ nor #: API Gateway would read it as a template, and answer something else. Let a function answer instead."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : coalesce(r.throttling_rate_limit, 1) > 0 && coalesce(r.throttling_burst_limit, 1) > 0])
    error_message = "A route's throttling limits are greater than 0: with 0 every request is answered 429."
  }
}

variable "route_selection_expression" {
  description = "Where in a message the route key is found."
  type        = string
  default     = "$request.body.action"
}

variable "throttling" {
  description = <<-EOT
    The stage's limits for messages: beyond them, messages are refused.

    - `rate_limit`: messages a second.
    - `burst_limit`: messages at once.
  EOT
  type = object({
    rate_limit  = optional(number, 1000)
    burst_limit = optional(number, 500)
  })
  default = {}

  validation {
    condition     = var.throttling.rate_limit > 0 && var.throttling.burst_limit > 0
    error_message = "throttling limits are greater than 0: with 0 every request is answered 429."
  }
}

variable "log_retention_days" {
  description = "How long the functions' logs are kept, in days."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days takes what CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "log_level" {
  description = "The least level that the functions log: TRACE, DEBUG, INFO, WARN or ERROR."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], var.log_level)
    error_message = "log_level is TRACE, DEBUG, INFO, WARN or ERROR."
  }
}

variable "tags" {
  description = "Tags for everything that takes tags."
  type        = map(string)
  default     = {}
}
