variable "name" {
  description = "The name of the backend, and the first part of the names of all that belongs to it."
  type        = string
  default     = "chat"
}

variable "stage" {
  description = "The stage, such as dev or prod: part of all names, so that stages share an account, and the last part of the URL."
  type        = string
  default     = "dev"
}

variable "region" {
  description = "The AWS Region. Left out, it is the one that your AWS configuration names."
  type        = string
  default     = null
}

variable "global_name_suffix" {
  description = "The end of the names that an account has only once, over all Regions, such as those of roles: for a stage that is in several Regions, the Region."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "The ARN of a policy that bounds the functions' roles, where the account asks for it."
  type        = string
  default     = null
}

variable "packages" {
  description = "The folder with the functions' packages, as `make build` leaves it: NAME/bootstrap.zip for each function."
  type        = string
  default     = "../target/lambda"
}

variable "packages_bucket" {
  description = "The name of an S3 bucket that the packages are put into, for the functions to be made from: side by side then, and not one after another; null needs none."
  type        = string
  default     = null
}

variable "subprotocols" {
  description = "The WebSocket sub-protocols that clients may ask for."
  type        = list(string)
  default     = []
}

variable "history" {
  description = "The last messages of each channel, for clients that were away: for how many `seconds` they are kept, and how many `messages` a client that comes back gets at most; null keeps none."
  type = object({
    seconds  = optional(number, 86400)
    messages = optional(number, 500)
  })
  default = {}
}

variable "announced_channels" {
  description = "The channels that are told who joins and leaves, by name or by the beginning of names and a `*`."
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
  description = "The CloudWatch alarms, with the ARNs of SNS topics that hear of them in `actions`; null makes none."
  type        = object({ actions = optional(list(string), []) })
  default     = null
}

variable "dashboard" {
  description = "Whether a CloudWatch dashboard is made."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags for everything that takes tags."
  type        = map(string)
  default     = {}
}
