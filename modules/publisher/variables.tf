variable "create" {
  description = "Whether to create anything. With `false`, nothing is created, and the outputs are null or empty."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "The prefix of all names: the queue, the function and its role are called `NAME-publish`. With the API's name, they are listed beside its functions."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,39}$", var.name))
    error_message = "name takes 1 to 40 letters, digits and hyphens, and starts with a letter: it becomes part of the names of queues, a function and a role."
  }
}

variable "global_name_suffix" {
  description = "The suffix of the name that must be unique in the account across all Regions: that of the function's role. A hyphen is put before it. Set it, for example to the Region, if the same stack is in several Regions of an account. With null there is no suffix."
  type        = string
  default     = null

  validation {
    condition     = var.global_name_suffix == null ? true : can(regex("^[A-Za-z0-9-]{1,32}$", var.global_name_suffix))
    error_message = "global_name_suffix takes 1 to 32 letters, digits and hyphens, such as eu-west-1."
  }

  validation {
    condition     = var.global_name_suffix == null ? true : length("${var.name}-publish-${var.global_name_suffix}") <= 64
    error_message = "With this global_name_suffix, ${var.name}-publish-${coalesce(var.global_name_suffix, "-")} would be longer than the 64 characters that a role's name has at most. Shorten it, or name."
  }
}

variable "websocket" {
  description = <<-EOT
    The API whose connections receive the messages: the whole `module.websocket`. If the API is in another stack, an object with
    its outputs of these names.

    - `table_name`: the name of the connection table.
    - `shards`: the number of partitions that a channel is spread over.
    - `everyone_shards`: that of the channel `*`; null if it is the same.
    - `former_shards`: the greater number of before, whose shards are still read; null if there is none.
    - `management_endpoint`: the URL for posts to connections.
    - `policies`: policy documents by intent. The function gets `read`, `delete`, `POST` and `DELETE`.
    - `metrics_namespace`: the namespace of the metrics of the API's functions and of this function; null if they have none.
    - `history`: the history, which stores messages for clients that are away; null if there is none.
  EOT
  type = object({
    table_name          = string
    shards              = number
    everyone_shards     = optional(number)
    former_shards       = optional(number)
    management_endpoint = string
    policies            = map(string)
    metrics_namespace   = optional(string)
    history             = optional(object({ table_name = string, seconds = number, policies = map(string) }))
  })
  nullable = false

  validation {
    condition     = !var.create || var.websocket.table_name != null
    error_message = "The websocket has no connection table, so nobody could be reached: do not set its connection_table to null."
  }
}

variable "package" {
  description = "The path of the function's zip: `target/lambda/publish/bootstrap.zip` after `make build`. A new zip at the same path is a new version."
  type        = string
  default     = null

  validation {
    condition     = (var.package != null) != (var.s3 != null)
    error_message = "The function takes either package, the path of a zip to make it from, or s3, a zip in a bucket; not both, not neither."
  }
}

variable "s3" {
  description = <<-EOT
    A zip in a bucket of the same Region, instead of `package`.

    - `bucket`: the bucket.
    - `key`: the object's key. Another key is deployed. Other content under the same key is not noticed.
    - `version`: the object's version, if the bucket has versions.
  EOT
  type = object({
    bucket  = string
    key     = string
    version = optional(string)
  })
  default = null
}

variable "architecture" {
  description = "The architecture that the zip was built for: `arm64` or `x86_64`."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is \"arm64\" or \"x86_64\"."
  }
}

variable "memory_size" {
  description = "The function's memory in MB. More memory brings more CPU: a broadcast is as fast as the function can sign requests."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240
    error_message = "memory_size is 128 to 10240 MB."
  }
}

variable "timeout" {
  description = "How long the function may take for a batch, in seconds. A broadcast that would take longer is done in steps. A failed message is retried after six times this time."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout >= 10 && var.timeout <= 900
    error_message = "timeout is 10 to 900 seconds: with less there is no time for a step of a broadcast."
  }
}

variable "environment" {
  description = "Variables of the function in addition to those that the module sets, such as `ANNOUNCE_CHANNELS`."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "tracing" {
  description = "Whether X-Ray traces the function."
  type        = bool
  default     = false
  nullable    = false
}

variable "batch_size" {
  description = "The greatest number of messages that the function receives at once."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10000 && (var.batch_size <= 10 || var.batching_window_seconds > 0)
    error_message = "batch_size is 1 to 10000; beyond 10, Lambda asks for a batching_window_seconds of 1 or more."
  }
}

variable "batching_window_seconds" {
  description = "How long a batch waits to become full. Messages are delayed by that time."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.batching_window_seconds >= 0 && var.batching_window_seconds <= 300
    error_message = "batching_window_seconds is 0 to 300."
  }
}

variable "maximum_concurrency" {
  description = "The greatest number of batches that are handled at the same time: half of them with publications, the other half with retries and announcements. Large broadcasts have `broadcasts.concurrency` besides."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 4 && var.maximum_concurrency <= 2000
    error_message = "maximum_concurrency is 4 to 2000: publications have half of it, and retries and announcements the other half; Lambda takes 2 to 1000 for one."
  }
}

variable "broadcasts" {
  description = <<-EOT
    Channels with more than 5,000 members are cut into ranges, and several invocations post to them at once.

    - `rate_limit`: the posts a second of all these invocations together. Each does its part of it. All APIs of an account and Region share one limit, 10,000 requests a second unless it was raised: half of it leaves room for other posts and for new connections. Two publishers in one account share that limit, too.
    - `concurrency`: how many there are at once, 2 to 1000. They come on top of `maximum_concurrency`: mind the account's limit for concurrent executions.
  EOT
  type = object({
    rate_limit  = optional(number, 5000)
    concurrency = optional(number, 4)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.broadcasts.rate_limit >= var.broadcasts.concurrency && floor(var.broadcasts.rate_limit) == var.broadcasts.rate_limit
    error_message = "broadcasts.rate_limit is a whole number, and at least its concurrency: each invocation does a post a second or more."
  }

  validation {
    condition     = var.broadcasts.concurrency >= 2 && var.broadcasts.concurrency <= 1000 && floor(var.broadcasts.concurrency) == var.broadcasts.concurrency
    error_message = "broadcasts.concurrency is a whole number from 2 to 1000, as Lambda takes it."
  }
}

variable "queue" {
  description = <<-EOT
    The queues: for publications, for tasks (deliveries and large broadcasts) and for dead letters.

    - `max_receive_count`: how often a message is tried before it becomes a dead letter.
    - `retention_seconds`: how long a message waits at most. A message that has waited for so long is lost.
    - `dead_letter_retention_seconds`: how long a dead letter is kept, counted from the time when the message was sent.
    - `kms_key`: `arn` of your own key that encrypts all queues. Without it, SQS's own key is used. If there are `senders`, the key's policy must let their services use it.
  EOT
  type = object({
    max_receive_count             = optional(number, 5)
    retention_seconds             = optional(number, 345600)
    dead_letter_retention_seconds = optional(number, 1209600)
    kms_key                       = optional(object({ arn = string }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.queue.max_receive_count >= 1 && var.queue.max_receive_count <= 1000
    error_message = "queue.max_receive_count is 1 to 1000."
  }

  validation {
    condition     = alltrue([60 <= var.queue.retention_seconds, var.queue.retention_seconds <= var.queue.dead_letter_retention_seconds, var.queue.dead_letter_retention_seconds <= 1209600])
    error_message = "queue.retention_seconds is 60 to 1209600, 14 days, and dead_letter_retention_seconds no less: a dead letter is as old as the message was."
  }
}

variable "senders" {
  description = "Senders without a role of their own: EventBridge rules and SNS topics, each by its `arn` or as the whole resource. Functions and people have roles: they take `send_policy`."
  type        = list(object({ arn = string }))
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for sender in var.senders : can(regex("^arn:[^:]+:(events|sns):[^:]+:[0-9]{12}:.+$", sender.arn))])
    error_message = "A sender's arn is that of an EventBridge rule, arn:aws:events:REGION:ACCOUNT:rule/NAME, or of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME."
  }
}

variable "roles" {
  description = <<-EOT
    Settings of the function's role, if the account requires them.

    - `path`: the role's path.
    - `permissions_boundary`: the ARN of the policy that is its permissions boundary.
  EOT
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  default  = {}
  nullable = false
}

variable "logging" {
  description = <<-EOT
    The function's logs, and how long they are kept.

    - `retention_days`: for how many days the log group keeps its entries.
    - `kms_key`: `arn` of your own key that encrypts the log group. Its policy must let CloudWatch Logs use it.
    - `function_level`: the lowest level that is logged: TRACE, DEBUG, INFO, WARN or ERROR.
  EOT
  type = object({
    retention_days = optional(number, 30)
    kms_key        = optional(object({ arn = string }))
    function_level = optional(string, "INFO")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], var.logging.function_level)
    error_message = "logging.function_level is TRACE, DEBUG, INFO, WARN or ERROR."
  }
}

variable "alarms" {
  description = <<-EOT
    CloudWatch alarms: null creates none, `{}` creates all of them with default thresholds. Each takes the greatest value of five
    minutes. An alarm with the threshold null is not created.

    - `actions` ([]): ARNs, of SNS topics for example, that are notified when an alarm begins and when it ends.
    - `dead_letters` (1): the number of messages in the dead-letter queue.
    - `oldest_message_seconds` (300): how long the oldest message has been waiting, in each queue but that of dead letters.
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

variable "tags" {
  description = "Tags for everything that takes tags."
  type        = map(string)
  default     = {}
  nullable    = false
}
