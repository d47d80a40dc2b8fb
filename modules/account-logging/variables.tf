variable "create" {
  description = "Whether to create anything. Set `false` if the account already has its role."
  type        = bool
  default     = true
}

variable "name" {
  description = "The role's name. Roles belong to the account, so another Region needs another name."
  type        = string
  default     = "api-gateway-logs"

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name takes 1 to 64 letters, digits and any of +=,.@_-: it is a role's."
  }
}

variable "tags" {
  description = "Tags for the role."
  type        = map(string)
  default     = {}
}
