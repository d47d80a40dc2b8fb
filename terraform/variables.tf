variable "name" {
  description = "The name of the backend, and the prefix of the names of all its resources."
  type        = string
  default     = "chat"
}

variable "stage" {
  description = "The stage, such as dev or prod. It is part of all names, so that stages can share an account, and the last part of the URL."
  type        = string
  default     = "dev"
}

variable "region" {
  description = "The AWS Region. If left out, it is the Region of your AWS configuration."
  type        = string
  default     = null
}

variable "global_name_suffix" {
  description = "The suffix of the names that must be unique in the account across all Regions, such as those of roles. For a stage in several Regions, take the Region."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of the policy that is the permissions boundary of the functions' roles, if the account requires one."
  type        = string
  default     = null
}

variable "packages" {
  description = "The folder with the functions' packages, as `make build` leaves it: NAME/bootstrap.zip for each function."
  type        = string
  default     = "../target/lambda"
}

variable "packages_bucket" {
  description = "The name of an S3 bucket for the packages. The functions are then created from it in parallel, not one after another. Null needs no bucket."
  type        = string
  default     = null
}

variable "subprotocols" {
  description = "The WebSocket sub-protocols that clients may ask for."
  type        = list(string)
  default     = []
}

variable "history" {
  description = "The last messages of each channel, for clients that were away. They are kept for `seconds`, and a returning client receives at most `messages` of them; null keeps none."
  type = object({
    seconds  = optional(number, 86400)
    messages = optional(number, 500)
  })
  default = {}
}

variable "announced_channels" {
  description = "The channels whose members are told of joins and leaves: names, or prefixes of names with a `*`."
  type        = list(string)
  default     = ["lobby"]
}

variable "throttling" {
  description = "The limits for messages: `rate_limit` requests a second, and `burst_limit` requests at once."
  type = object({
    rate_limit  = optional(number, 1000)
    burst_limit = optional(number, 500)
  })
  default = {}
}

variable "log_retention_days" {
  description = "How long the functions' logs are kept, in days."
  type        = number
  default     = 30
}

variable "alarms" {
  description = "The CloudWatch alarms, with the ARNs of the SNS topics to notify in `actions`; null creates none."
  type        = object({ actions = optional(list(string), []) })
  default     = null
}

variable "dashboard" {
  description = "Whether to create a CloudWatch dashboard."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags for everything that takes tags."
  type        = map(string)
  default     = {}
}
