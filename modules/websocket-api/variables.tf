variable "create" {
  description = "Whether to create anything. With `false`, nothing is created, and the outputs are null or empty."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "The API's name, and the prefix of the names of all its resources. It must be unique in the account and Region, and across Regions too unless each has a `global_name_suffix`."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,39}$", var.name))
    error_message = "name takes 1 to 40 letters, digits and hyphens, and starts with a letter: it becomes part of the names of functions, roles and a table."
  }
}

variable "global_name_suffix" {
  description = "The suffix of the names that must be unique in the account across all Regions: those of roles and of the dashboard. A hyphen is put before it. Set it, for example to the Region, if the same stack is in several Regions of an account. With null there is no suffix."
  type        = string
  default     = null

  validation {
    condition     = var.global_name_suffix == null ? true : can(regex("^[A-Za-z0-9-]{1,32}$", var.global_name_suffix))
    error_message = "global_name_suffix takes 1 to 32 letters, digits and hyphens, such as eu-west-1."
  }

  validation {
    condition     = var.global_name_suffix == null ? true : alltrue([for key in concat(keys(local.made_functions), values(local.labels)) : length("${var.name}-${key}-${var.global_name_suffix}") <= 64])
    error_message = "With this global_name_suffix, these would be longer than the 64 characters that a role's name has at most: ${join(", ", [for key in concat(keys(local.made_functions), values(local.labels)) : "${var.name}-${key}-${coalesce(var.global_name_suffix, "-")}" if length("${var.name}-${key}-${coalesce(var.global_name_suffix, "-")}") > 64])}. Shorten it, name or the function's name."
  }
}

variable "description" {
  description = "The API's description, as the console shows it."
  type        = string
  default     = null

  validation {
    condition     = length(coalesce(var.description, "-")) <= 1024
    error_message = "description has 1,024 characters at most."
  }
}

variable "stage" {
  description = "The stage's name, the last part of the URL."
  type        = string
  default     = "live"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.stage))
    error_message = "stage takes 1 to 128 letters, digits, hyphens and underscores. A WebSocket API has no \"$default\" stage; name it \"live\", \"dev\" or the like."
  }
}

variable "stage_variables" {
  description = "Variables of the stage. Events and templates have them as `stageVariables`."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, value in var.stage_variables : can(regex("^[A-Za-z0-9_]+$", name)) && can(regex("^[A-Za-z0-9._~:/?#&=,-]+$", value))])
    error_message = "The names of stage_variables take letters, digits and underscores, the values letters, digits and any of -._~:/?#&=, and none is empty."
  }
}

variable "ip_address_type" {
  description = "The IP versions that clients can connect with: `ipv4`, or `dualstack` for IPv6 too. It applies to the API and to its domain."
  type        = string
  default     = "ipv4"
  nullable    = false

  validation {
    condition     = contains(["ipv4", "dualstack"], var.ip_address_type)
    error_message = "ip_address_type is \"ipv4\" or \"dualstack\"."
  }
}

variable "route_selection_expression" {
  description = "The place of the route key in a message."
  type        = string
  default     = "$request.body.action"
  nullable    = false

  validation {
    condition     = can(regex("^\\$request\\.body\\.[A-Za-z0-9_.-]+$", var.route_selection_expression))
    error_message = "route_selection_expression names a field of the message: $request.body.NAME."
  }
}

variable "api_key_selection_expression" {
  description = "The place of the API key in a request, for routes with `api_key_required`: `$request.header.x-api-key`, or `$context.authorizer.usageIdentifierKey`."
  type        = string
  default     = "$request.header.x-api-key"
  nullable    = false

  validation {
    condition     = contains(["$request.header.x-api-key", "$context.authorizer.usageIdentifierKey"], var.api_key_selection_expression)
    error_message = "api_key_selection_expression is \"$request.header.x-api-key\" or \"$context.authorizer.usageIdentifierKey\": API Gateway knows no other."
  }
}

variable "functions" {
  description = <<-EOT
    The functions behind the routes, by a name of your choice. The module creates a function from a zip on this machine
    (`package`, `zip`) or in a bucket (`s3`). An existing function (`arn`) keeps its own role and configuration.

    - `package`: the path of a zip that exists before Terraform runs. Its content is deployed: a new zip at the same path is a new version.
    - `zip`: a zip that another resource creates: its `path`, and its `hash` (SHA-256 in Base64). A new hash is a new version.
    - `s3`: a zip in a bucket of the same Region: `bucket`, `key`, and `version` if the bucket has versions. Another key or version is deployed. Other content under the same key is not noticed.
    - `arn`: the function's ARN, optionally with `:ALIAS` at its end.
    - `stage_permission`: whether one permission lets all routes of the stage invoke the function, instead of one for each route. The module does this by itself if the routes of this API alone would fill the function's policy, which has 20,480 bytes. Set it if several APIs share the function.
    - `connections`: the function's access to the connection table: `read` the members of a channel, `write` a connection that joins one, `delete` a gone connection from all channels.
    - `history`: the function's access to the `history` of channels: `read` stored messages, `write` new ones.
    - `manage_connections`: the function's access to connections of this API: `POST` a message, `GET` their state, `DELETE` (close) them.
    - `policy_statements`: further permissions: `actions` on `resources`.
    - `architecture`: `arm64` or `x86_64`.
    - `runtime`: Lambda's name for the runtime.
    - `handler`: the entry point that the runtime calls; for programs in Rust it is `bootstrap`.
    - `memory_size`: in MB; more memory brings more CPU.
    - `timeout`: in seconds; at most 29 behind a route or as authorizer, since API Gateway waits no longer.
    - `environment`: variables in addition to those that the module sets. If `connections` grants anything, it sets `CONNECTION_TABLE` and `CONNECTION_SHARDS`. If `history` does, it sets `HISTORY_TABLE`, `HISTORY_SECONDS` and `HISTORY_MESSAGES`. If `manage_connections` does, it sets `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`. With `metrics`, it sets `METRICS_NAMESPACE`.
    - `environment_key`: `arn` of your own key that encrypts the environment; the function may decrypt with it. Without it, Lambda's own key is used.
    - `layers`: ARNs of layer versions, 5 at most.
    - `reserved_concurrency`: how many instances may run at once, reserved from the account's concurrency; -1 reserves none.
    - `provisioned_concurrency`: how many instances are kept warm, behind an alias `live` that the routes then invoke; 0 keeps none.
    - `vpc`: `subnet_ids` and `security_group_ids`, for a function that connects to a VPC. From there it needs endpoints or a NAT to reach DynamoDB and `@connections`.
    - `tracing`: whether X-Ray traces the function.
    - `log_level`: the function's own level, instead of `logging.function_level`.
    - `log_retention_days`: the function's own retention, instead of `logging.retention_days`.
    - `failure_destination`: `arn` of a queue, topic, function or event bus that receives failed asynchronous invocations. Routes invoke synchronously: it is for other callers of the function.
  EOT
  type = map(object({
    package                 = optional(string)
    zip                     = optional(object({ path = string, hash = string }))
    s3                      = optional(object({ bucket = string, key = string, version = optional(string) }))
    arn                     = optional(string)
    stage_permission        = optional(bool, false)
    connections             = optional(set(string), [])
    history                 = optional(set(string), [])
    manage_connections      = optional(set(string), [])
    policy_statements       = optional(list(object({ actions = list(string), resources = list(string) })), [])
    architecture            = optional(string, "arm64")
    runtime                 = optional(string, "provided.al2023")
    handler                 = optional(string, "bootstrap")
    memory_size             = optional(number, 256)
    timeout                 = optional(number, 10)
    environment             = optional(map(string), {})
    environment_key         = optional(object({ arn = string }))
    layers                  = optional(list(string), [])
    reserved_concurrency    = optional(number, -1)
    provisioned_concurrency = optional(number, 0)
    vpc                     = optional(object({ subnet_ids = set(string), security_group_ids = set(string) }))
    tracing                 = optional(bool, false)
    log_level               = optional(string)
    log_retention_days      = optional(number)
    failure_destination     = optional(object({ arn = string }))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.functions) : can(regex("^[A-Za-z0-9-]{1,23}$", key))])
    error_message = "A function's name takes 1 to 23 letters, digits and hyphens: with the API's name before it, it becomes the Lambda function's, which has 64 at most."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : length([for way in [f.package, f.zip, f.s3, f.arn] : way if way != null]) == 1])
    error_message = "Each function takes one of package, the path of a zip to make it from, zip, one that another resource makes, s3, a zip in a bucket, and arn, an existing function; not several, not none."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.arn == null ? true : can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:$]+)?$", f.arn))])
    error_message = "A function's arn has the form arn:aws:lambda:REGION:ACCOUNT:function:NAME, with :ALIAS behind it if you like, and not :$LATEST. It is the function's arn, not its invoke_arn."
  }

  validation {
    condition = alltrue([for f in values(var.functions) : f.arn == null || f.package != null || f.zip != null || f.s3 != null || alltrue([
      length(f.connections) + length(f.history) + length(f.manage_connections) + length(f.policy_statements) + length(f.environment) + length(f.layers) == 0,
      f.reserved_concurrency == -1, f.provisioned_concurrency == 0, f.vpc == null, !f.tracing,
      f.log_level == null, f.log_retention_days == null, f.failure_destination == null, f.environment_key == null,
    ])])
    error_message = "A function given by arn keeps its own role and configuration: leave all else out, and use the outputs policies, table_name and management_endpoint in its own stack."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : length(setsubtract(f.connections, ["read", "write", "delete"])) == 0])
    error_message = "A function's connections takes \"read\", \"write\" and \"delete\"."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : length(setsubtract(f.history, ["read", "write"])) == 0])
    error_message = "A function's history takes \"read\" and \"write\"."
  }

  # This rule is not in connection_table: the arn of an existing function may depend on the table's outputs.
  validation {
    condition     = var.connection_table != null || alltrue([for f in values(var.functions) : length(f.connections) == 0])
    error_message = "Without a connection_table no function can have connections: leave these out, or leave connection_table out, and there is one."
  }

  validation {
    condition     = var.history != null || alltrue([for f in values(var.functions) : length(f.history) == 0])
    error_message = "Without a history no function can read or write it: set history = {}, or leave history out of the functions."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : length(setsubtract(f.manage_connections, ["POST", "GET", "DELETE"])) == 0])
    error_message = "A function's manage_connections takes \"POST\", \"GET\" and \"DELETE\"."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : startswith(f.runtime, "provided") || f.handler != "bootstrap" || f.arn != null])
    error_message = "A function of a managed runtime, such as Python or Node.js, has a handler, such as app.handler; \"bootstrap\" is that of programs."
  }

  validation {
    condition = alltrue([for f in values(var.functions) : length(setintersection(keys(f.environment), [
    "CONNECTION_TABLE", "CONNECTION_SHARDS", "HISTORY_TABLE", "HISTORY_SECONDS", "HISTORY_MESSAGES", "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "METRICS_NAMESPACE"])) == 0])
    error_message = "A function's environment leaves CONNECTION_TABLE, CONNECTION_SHARDS, HISTORY_TABLE, HISTORY_SECONDS, HISTORY_MESSAGES, AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI and METRICS_NAMESPACE to the module: say in connections, history, manage_connections and metrics what is needed."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : contains(["arm64", "x86_64"], f.architecture)])
    error_message = "A function's architecture is \"arm64\" or \"x86_64\"."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.memory_size >= 128 && f.memory_size <= 10240])
    error_message = "A function's memory_size is 128 to 10240 MB."
  }

  validation {
    condition     = alltrue(flatten([for f in values(var.functions) : [for s in f.policy_statements : length(s.actions) > 0 && length(s.resources) > 0]]))
    error_message = "Each of a function's policy_statements has at least one of actions and one of resources."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.timeout >= 1 && f.timeout <= 900])
    error_message = "A function's timeout is 1 to 900 seconds; 29 at most where a route or the authorizer invokes it."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.reserved_concurrency == -1 || f.reserved_concurrency >= 1])
    error_message = "A function's reserved_concurrency is 1 or more, or -1 for none: with 0 it would never run."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.provisioned_concurrency >= 0 && (f.reserved_concurrency == -1 || f.provisioned_concurrency <= f.reserved_concurrency)])
    error_message = "A function's provisioned_concurrency is 0 or more, and no more than its reserved_concurrency."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : length(f.layers) <= 5])
    error_message = "A function takes 5 layers at most."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.vpc == null ? true : length(f.vpc.subnet_ids) > 0 && length(f.vpc.security_group_ids) > 0])
    error_message = "A function's vpc takes at least one of subnet_ids and one of security_group_ids."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.log_level == null ? true : contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], f.log_level)])
    error_message = "A function's log_level is TRACE, DEBUG, INFO, WARN or ERROR."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.log_retention_days == null ? true : contains(local.retention_days, f.log_retention_days)])
    error_message = "A function's log_retention_days takes what CloudWatch Logs offers: ${join(", ", local.retention_days)}."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.failure_destination == null ? true : can(local.failure_actions[split(":", f.failure_destination.arn)[2]])])
    error_message = "A function's failure_destination is the arn of an SQS queue, an SNS topic, a Lambda function or an EventBridge bus."
  }
}

variable "routes" {
  description = <<-EOT
    The routes, by route key: `$connect`, `$disconnect`, `$default`, or the value that `route_selection_expression` finds in
    a message. Each route leads to one target: a function of the map above (many routes may share one), a fixed answer, an
    HTTP endpoint, a queue or another AWS service.

    - `function`: the name of a function in `functions`.
    - `mock`: the fixed answer, a text without `$` and `#`; no function runs. Such a route is always two-way, except `$connect` and `$disconnect`. For these the text is empty, and `$connect` accepts every connection that the authorizer allows.
    - `http`: forwards the message to a `url`, by `method`. `headers` adds headers: each value is a text in single quotes, or `context.` and a name. The header `connectionId` is sent by default.
    - `queue`: puts the message into the SQS queue with this `arn`; no function runs. For `$connect` and `$disconnect`, it puts the event's type there. The attributes are `connectionId`, `routeKey` and `requestId`. A FIFO queue keeps each connection's messages in order. `reply` is the text to answer, without `$` and `#`. `kms_key` is the key's `arn` if your own key encrypts the queue.
    - `service`: calls another AWS service, by its `uri` (`arn:aws:apigateway:REGION:SERVICE:action/NAME` or `…:path/PATH`), `method` and `headers`. `template` is the request's body, in API Gateway's template language. `policy_statements` are for the route's own role. `reply` is the text to answer.
    - `two_way`: whether the client receives the response of the function or the HTTP endpoint.
    - `throttling_rate_limit`: messages a second, instead of the stage's limit.
    - `throttling_burst_limit`: messages at once, instead of the stage's limit.
    - `api_key_required`: whether the request needs an API key of a usage plan for this stage.
    - `request_model`: a JSON schema (draft 4) that messages must match. Other messages are answered with `Bad request body` and go nowhere.
    - `operation_name`: the operation's name in an exported definition.
  EOT
  type = map(object({
    function = optional(string)
    mock     = optional(string)
    http = optional(object({
      url     = string
      method  = optional(string, "POST")
      headers = optional(map(string), {})
    }))
    queue = optional(object({
      arn     = string
      kms_key = optional(object({ arn = string }))
      reply   = optional(string)
    }))
    service = optional(object({
      uri               = string
      method            = optional(string, "POST")
      headers           = optional(map(string), {})
      template          = string
      policy_statements = list(object({ actions = list(string), resources = list(string) }))
      reply             = optional(string)
    }))
    two_way                = optional(bool, false)
    throttling_rate_limit  = optional(number)
    throttling_burst_limit = optional(number)
    api_key_required       = optional(bool, false)
    request_model          = optional(string)
    operation_name         = optional(string)
  }))

  validation {
    condition     = length(var.routes) > 0 && length(var.routes) <= 300
    error_message = "An API has 1 to 300 routes. Start with $connect, $disconnect and $default."
  }

  validation {
    condition     = alltrue([for key in keys(var.routes) : can(regex("^[^*?]+$", key))])
    error_message = "A route key is not empty, and holds neither * nor ?: permissions would take them for any text."
  }

  validation {
    condition     = alltrue([for key in keys(var.routes) : !startswith(key, "$") || contains(["$connect", "$disconnect", "$default"], key)])
    error_message = "The route keys that start with $ are $connect, $disconnect and $default."
  }

  validation {
    condition     = alltrue([for key in ["connect", "disconnect"] : !contains(keys(var.routes), key) || contains(keys(var.routes), "$${key}")])
    error_message = "The routes of a connection's beginning and end are called $connect and $disconnect, with a $."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : length([for way in [r.function, r.mock, r.http, r.queue, r.service] : way if way != null]) == 1])
    error_message = "Each route takes one of function, the name of one in functions, mock, the text to answer, http, queue and service; not several, not none."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.function == null ? true : contains(keys(var.functions), r.function)])
    error_message = "These routes name a function that is not in functions: ${join(", ", [for key, r in var.routes : "${key} (${r.function})" if r.function == null ? false : !contains(keys(var.functions), r.function)])}."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : try(var.functions[r.function].arn == null && var.functions[r.function].timeout > 29, false) == false])
    error_message = "A route's function has a timeout of 29 seconds at most: API Gateway waits no longer for it."
  }

  validation {
    condition = alltrue([for key, r in var.routes : !contains(["$connect", "$disconnect"], key) || alltrue([
      r.mock == null || r.mock == "", !r.two_way, try(r.queue.reply, null) == null, try(r.service.reply, null) == null,
    ])])
    error_message = "$connect and $disconnect cannot answer: before the one and after the other there is no connection. Leave reply and two_way out; mock = \"\" lets everybody in that the authorizer lets in."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : !r.two_way || (r.queue == null && r.service == null)])
    error_message = "A queue or a service answers with the text of its reply: use that instead of two_way."
  }

  validation {
    condition     = alltrue(flatten([for r in values(var.routes) : [for text in [r.mock, try(r.queue.reply, null), try(r.service.reply, null)] : text == null ? true : !can(regex("[$#]", text))]]))
    error_message = "The text of a mock or a reply holds neither $ nor #: API Gateway would read it as a template, and answer something else. Let a function answer instead."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.http == null ? true : can(regex("^https?://", r.http.url))])
    error_message = "The url of a route's http starts with https:// or http://."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.queue == null ? true : can(regex("^arn:[^:]+:sqs:[^:]+:[0-9]{12}:[^:]+$", r.queue.arn))])
    error_message = "The arn of a route's queue has the form arn:aws:sqs:REGION:ACCOUNT:NAME."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.service == null ? true : can(regex("^arn:[^:]+:apigateway:[^:]+:[^:]+:(action|path)/", r.service.uri))])
    error_message = "The uri of a route's service has the form arn:aws:apigateway:REGION:SERVICE:action/NAME, or path/PATH in place of action/NAME."
  }

  validation {
    condition = alltrue(flatten([for r in values(var.routes) : [for value in concat(values(try(r.http.headers, {})), values(try(r.service.headers, {}))) :
    can(regex("^('.*'|context\\..+|stageVariables\\..+|route\\.request\\..+)$", value))]]))
    error_message = "The value of a header is a text in single quotes, or context.NAME, stageVariables.NAME or route.request.…"
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.service == null ? true : length(r.service.policy_statements) > 0 && alltrue([for s in r.service.policy_statements : length(s.actions) > 0 && length(s.resources) > 0])])
    error_message = "A route's service has at least one of policy_statements, each with actions and resources: without a grant the call would be refused."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : coalesce(r.throttling_rate_limit, 1) > 0 && coalesce(r.throttling_burst_limit, 1) > 0])
    error_message = "A route's throttling limits are greater than 0: with 0 every request is answered 429."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : floor(coalesce(r.throttling_burst_limit, 1)) == coalesce(r.throttling_burst_limit, 1)])
    error_message = "A route's throttling_burst_limit is a whole number."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.operation_name == null ? true : length(r.operation_name) >= 1 && length(r.operation_name) <= 64])
    error_message = "A route's operation_name has 1 to 64 characters."
  }

  validation {
    condition     = alltrue([for r in values(var.routes) : r.request_model == null ? true : can(keys(jsondecode(r.request_model)))])
    error_message = "A route's request_model is a JSON schema, as text: jsonencode({ type = \"object\", … })."
  }

  validation {
    condition     = alltrue([for key in ["$connect", "$disconnect"] : try(var.routes[key].request_model, null) == null])
    error_message = "$connect and $disconnect carry no message that a request_model could check: leave it out."
  }
}

variable "authorizer" {
  description = <<-EOT
    The check of new connections. With null, everyone who knows the URL can connect. API Gateway makes the check on `$connect`
    only, once for each connection.

    - `function`: the name of a function in `functions`, which answers with a policy. Every later event of the connection has the `context` that it returns.
    - `identity_sources`: values that every request to connect must have, such as `route.request.querystring.token` or `route.request.header.Authorization`. Without them the function does not run, and the answer is 401.
    - `iam`: instead of a function: whether the handshake must be signed, by an IAM identity that may `execute-api:Invoke` the `$connect` route.
  EOT
  type = object({
    function         = optional(string)
    identity_sources = optional(set(string), [])
    iam              = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.authorizer == null ? true : (var.authorizer.function != null) != var.authorizer.iam
    error_message = "authorizer takes either function, the name of one in functions, or iam = true; not both, not neither."
  }

  validation {
    condition     = try(var.authorizer.function, null) == null ? true : contains(keys(var.functions), var.authorizer.function)
    error_message = "The authorizer's function is not in functions: name one that is. An existing function is put there by its arn."
  }

  validation {
    condition     = try(var.functions[var.authorizer.function].arn == null && var.functions[var.authorizer.function].timeout > 29, false) == false
    error_message = "The authorizer's function has a timeout of 29 seconds at most: API Gateway waits no longer for it."
  }

  validation {
    condition     = var.authorizer == null ? true : contains(keys(var.routes), "$connect")
    error_message = "An authorizer is asked on $connect: add that to routes."
  }

  validation {
    condition = var.authorizer == null ? true : alltrue([for source in var.authorizer.identity_sources :
    can(regex("^(route\\.request\\.(header|querystring)|context|stageVariables)\\.[A-Za-z0-9._-]+$", source))])
    error_message = "An identity source is route.request.header.NAME, route.request.querystring.NAME, context.NAME or stageVariables.NAME."
  }

  validation {
    condition     = var.authorizer == null ? true : !var.authorizer.iam || length(var.authorizer.identity_sources) == 0
    error_message = "With iam the signature is the identity: leave identity_sources out."
  }
}

variable "roles" {
  description = <<-EOT
    Settings of all roles that the module creates, if the account requires them.

    - `path`: the roles' path.
    - `permissions_boundary`: the ARN of the policy that is their permissions boundary.
  EOT
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  default  = {}
  nullable = false
}

variable "throttling" {
  description = <<-EOT
    The stage's limits for messages. Messages beyond them are refused.

    - `rate_limit`: messages a second.
    - `burst_limit`: messages at once.
  EOT
  type = object({
    rate_limit  = optional(number, 1000)
    burst_limit = optional(number, 500)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.throttling.rate_limit > 0 && var.throttling.burst_limit > 0
    error_message = "throttling limits are greater than 0: with 0 every request is answered 429."
  }

  validation {
    condition     = floor(var.throttling.burst_limit) == var.throttling.burst_limit
    error_message = "throttling.burst_limit is a whole number."
  }
}

variable "connection_table" {
  description = <<-EOT
    The connection table in DynamoDB: created here, on demand and with a TTL, or an existing one. With null there is none, for
    an API that does not need to know its connections.

    - `existing`: an existing table: `name` and `arn`, or the whole resource. Its keys, index and TTL are those of the module's own table: see The table.
    - `kms_key`: `arn` of your own key that encrypts the table. Without it, DynamoDB's own key is used.
    - `point_in_time_recovery`: whether the table can be restored. Connections live for two hours, so this is mostly useful if rules require it.
    - `deletion_protection`: whether the table is protected from deletion.
    - `shards`: the number of partitions that a channel is spread over, 1 to 64. One shard takes 500 joins a second, while as many leave; each costs a query in every broadcast.
    - `everyone_shards`: that of the channel `*`, which each connection joins; null means as many as other channels. With more than 500 connects a second, set it alone: small channels then cost one query still.
    - `former_shards`: after a decrease, the greater number that was in force before. These shards are still read, of all channels. Remove it 2 h 10 min later: the rows in them have expired by then. Without it, connections in them receive nothing until they reconnect.
  EOT
  type = object({
    existing               = optional(object({ name = string, arn = string }))
    kms_key                = optional(object({ arn = string }))
    point_in_time_recovery = optional(bool, false)
    deletion_protection    = optional(bool, false)
    shards                 = optional(number, 1)
    everyone_shards        = optional(number)
    former_shards          = optional(number)
  })
  default = {}

  validation {
    condition = var.connection_table == null ? true : alltrue([
      for shards in [var.connection_table.shards, coalesce(var.connection_table.everyone_shards, 1), coalesce(var.connection_table.former_shards, 1)] :
      shards >= 1 && shards <= 64 && floor(shards) == shards
    ])
    error_message = "connection_table.shards, everyone_shards and former_shards are whole numbers from 1 to 64."
  }

  validation {
    condition     = var.connection_table == null ? true : var.connection_table.existing == null || !(var.connection_table.point_in_time_recovery || var.connection_table.deletion_protection)
    error_message = "An existing connection_table keeps its own configuration: leave point_in_time_recovery and deletion_protection out."
  }
}

variable "history" {
  description = <<-EOT
    A DynamoDB table with the last messages of each channel, for clients that were away. Null keeps no messages, `{}` keeps a
    day of them. See The history.

    - `seconds`: how long a message is kept, 300 (5 minutes) to 2592000 (30 days).
    - `messages`: how many messages a replay holds at most, 1 to 1000. A client asks for further ones.
    - `kms_key`: `arn` of your own key that encrypts the table. Without it, DynamoDB's own key is used.
    - `point_in_time_recovery`: whether the table can be restored.
    - `deletion_protection`: whether the table is protected from deletion.
  EOT
  type = object({
    seconds                = optional(number, 86400)
    messages               = optional(number, 500)
    kms_key                = optional(object({ arn = string }))
    point_in_time_recovery = optional(bool, false)
    deletion_protection    = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.history == null ? true : var.history.seconds >= 300 && var.history.seconds <= 2592000 && floor(var.history.seconds) == var.history.seconds
    error_message = "history.seconds is a whole number from 300 (5 minutes) to 2592000 (30 days)."
  }

  validation {
    condition     = var.history == null ? true : var.history.messages >= 1 && var.history.messages <= 1000 && floor(var.history.messages) == var.history.messages
    error_message = "history.messages is a whole number from 1 to 1000."
  }
}

variable "domain" {
  description = <<-EOT
    Your own domain name for the API. With null, the API has the name that AWS gives.

    - `name`: the domain name, such as `ws.example.com`. It serves WebSocket APIs only.
    - `existing`: whether another module or stack creates the domain. Then only the mapping is created here. So several APIs can share a domain, each under its own `mapping_key`. Take the `name` from the output `domain_name` of the module that creates the domain.
    - `certificate`: `arn` of a certificate for the domain, in the API's Region. Without it, one is created, and validated in `hosted_zone`.
    - `hosted_zone`: `id` of the Route 53 zone for the domain's records. Without it, you create the records: see the output `domain_target`.
    - `mapping_key`: the path below the domain. Without it, the API is at the root.
    - `disable_execute_api_endpoint`: whether the API answers under its domain only.
  EOT
  type = object({
    name                         = string
    existing                     = optional(bool, false)
    certificate                  = optional(object({ arn = string }))
    hosted_zone                  = optional(object({ id = string }))
    mapping_key                  = optional(string)
    disable_execute_api_endpoint = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z][a-z0-9-]*[a-z0-9]$", var.domain.name))
    error_message = "domain.name is a domain name in lower case, such as ws.example.com, without a scheme or a path."
  }

  validation {
    condition     = var.domain == null ? true : var.domain.existing || var.domain.certificate != null || var.domain.hosted_zone != null
    error_message = "A domain takes a certificate, or a hosted_zone in which one can be validated, or both; an existing one neither."
  }

  validation {
    condition     = var.domain == null ? true : !var.domain.existing || var.domain.certificate == null && var.domain.hosted_zone == null
    error_message = "An existing domain has its certificate and its records: leave certificate and hosted_zone out."
  }

  validation {
    condition     = try(var.domain.mapping_key, null) == null ? true : can(regex("^[A-Za-z0-9$_.+!*'()-]+(/[A-Za-z0-9$_.+!*'()-]+)*$", var.domain.mapping_key))
    error_message = "domain.mapping_key takes letters, digits and any of $-_.+!*'(), in parts with a slash between them and none at the ends."
  }

  validation {
    condition     = length(try(coalesce(var.domain.mapping_key), "")) <= 300
    error_message = "domain.mapping_key has 300 characters at most."
  }
}

variable "logging" {
  description = <<-EOT
    Logs, and how long they are kept. The functions' logs are always on. API Gateway's logs need the account's role for logs.
    If your account has none yet, see the module `account-logging`.

    - `retention_days`: for how many days every log group keeps its entries.
    - `kms_key`: `arn` of your own key that encrypts every log group. Its policy must let CloudWatch Logs use it.
    - `function_level`: the lowest level that the functions log: TRACE, DEBUG, INFO, WARN or ERROR.
    - `access_logs`: whether API Gateway logs a line for each connect, message and disconnect.
    - `access_log_destination`: `arn` of your own log group for the access logs, or of a Firehose stream whose name begins with `amazon-apigateway-`. Without it, a log group is created.
    - `access_log_format`: the fields of a line in the access logs, by name, from `$context`.
    - `execution_level`: the level of API Gateway's logs of its own work (execution logs): OFF, ERROR or INFO.
    - `data_trace`: whether execution logs contain the messages. Messages may be private: use this for debugging only.
    - `detailed_metrics`: whether there are metrics for each route, at CloudWatch's price.
    - `account_role`: the output `role` of `account-logging`, if that is in the same stack. API Gateway's logs wait for the role.
  EOT
  type = object({
    retention_days         = optional(number, 30)
    kms_key                = optional(object({ arn = string }))
    function_level         = optional(string, "INFO")
    access_logs            = optional(bool, false)
    access_log_destination = optional(object({ arn = string }))
    access_log_format      = optional(map(string))
    execution_level        = optional(string, "OFF")
    data_trace             = optional(bool, false)
    detailed_metrics       = optional(bool, false)
    account_role           = optional(object({ arn = string }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(local.retention_days, var.logging.retention_days)
    error_message = "logging.retention_days takes what CloudWatch Logs offers: ${join(", ", local.retention_days)}."
  }

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], var.logging.function_level)
    error_message = "logging.function_level is TRACE, DEBUG, INFO, WARN or ERROR."
  }

  validation {
    condition     = contains(["OFF", "ERROR", "INFO"], var.logging.execution_level)
    error_message = "logging.execution_level is OFF, ERROR or INFO."
  }

  validation {
    condition     = !var.logging.data_trace || var.logging.execution_level == "INFO"
    error_message = "logging.data_trace writes into execution logs of level INFO: set execution_level to that."
  }

  validation {
    condition     = var.logging.access_log_format == null ? true : length(jsonencode(var.logging.access_log_format)) <= 3072
    error_message = "logging.access_log_format is 3 KB at most."
  }

  validation {
    condition     = var.logging.access_log_format == null ? true : length(setintersection(values(var.logging.access_log_format), ["$context.requestId", "$context.extendedRequestId"])) > 0
    error_message = "logging.access_log_format has a field with $context.requestId or $context.extendedRequestId: API Gateway asks for one."
  }

  validation {
    condition     = var.logging.access_log_destination == null || var.logging.access_logs
    error_message = "logging.access_log_destination is for access_logs: switch them on."
  }

  validation {
    condition     = var.logging.access_log_destination == null ? true : can(regex("^arn:[^:]+:(logs:[^:]+:[0-9]{12}:log-group:[^:]+|firehose:[^:]+:[0-9]{12}:deliverystream/amazon-apigateway-.+)(:\\*)?$", var.logging.access_log_destination.arn))
    error_message = "logging.access_log_destination is the arn of a log group, or of a Firehose stream whose name begins with amazon-apigateway-: API Gateway takes no other."
  }

  validation {
    condition     = var.logging.access_log_format == null || var.logging.access_logs
    error_message = "logging.access_log_format is for access_logs: switch them on."
  }
}

variable "alarms" {
  description = <<-EOT
    CloudWatch alarms: null creates none, `{}` creates all of them with default thresholds. Each counts over five minutes. An
    alarm with the threshold null is not created.

    - `actions` ([]): ARNs, of SNS topics for example, that are notified when an alarm begins and when it ends.
    - `integration_errors` (5): responses 4xx or 5xx of functions and other integrations.
    - `client_errors` (100): requests that API Gateway itself refused.
    - `execution_errors` (5): integrations that could not be called.
    - `integration_latency_ms` (5000): the 99th percentile of an integration's time, in milliseconds, over three periods of five minutes.
    - `function_errors` (1): failures of any one function that is created here.
    - `function_throttles` (1): invocations of any one function created here that were refused for lack of concurrency.
    - `table_throttles` (10): throttled reads or writes of the connection table, its index or the history.
  EOT
  type        = any # In an object type, null would mean the default.
  default     = null

  validation {
    condition     = var.alarms == null ? true : can(keys(var.alarms)) ? length(setsubtract(keys(var.alarms), concat(["actions"], keys(local.alarm_defaults)))) == 0 : false
    error_message = "alarms takes actions, ${join(", ", keys(local.alarm_defaults))}."
  }

  validation {
    condition     = try(var.alarms.actions, null) == null ? true : can([for action in var.alarms.actions : regex("^arn:", action)])
    error_message = "alarms.actions is a list of ARNs."
  }

  validation {
    condition     = alltrue([for name in keys(local.alarm_defaults) : try(var.alarms[name], null) == null ? true : try(tonumber(var.alarms[name]) > 0, false)])
    error_message = "The thresholds of alarms are numbers greater than 0: at 0 an alarm would never end. With null, it is not made."
  }
}

variable "dashboard" {
  description = "Whether to create a CloudWatch dashboard of the API, its functions and its table."
  type        = bool
  default     = false
  nullable    = false
}

variable "metrics" {
  description = "Whether the functions of this repository count connections, messages and the results of posts, in the CloudWatch namespace `WebSocket/NAME`. These are nine metrics, written with the functions' logs, at CloudWatch's price."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags for everything that takes tags."
  type        = map(string)
  default     = {}
  nullable    = false
}
