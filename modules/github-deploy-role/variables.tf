variable "name" {
  description = "The role's name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", var.name))
    error_message = "name takes 1 to 64 letters, digits and any of +=,.@_-: it is a role's."
  }

  validation {
    condition     = !startswith(var.name, "${var.names}-")
    error_message = "name does not begin as the names of the stack: the role could change itself."
  }
}

variable "access" {
  description = "What the role is for: `plan` reads the stack and its state, `deploy` changes both."
  type        = string

  validation {
    condition     = contains(["plan", "deploy"], var.access)
    error_message = "access is \"plan\" or \"deploy\"."
  }
}

variable "repository" {
  description = "The repository on GitHub: `owner@ID/name@ID`, with the numbers that GitHub has for both, or `owner/name`. Jobs of repositories made, renamed or moved since July 15, 2026 name themselves by the numbers."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$|^[A-Za-z0-9-]+@[0-9]+/[A-Za-z0-9._-]+@[0-9]+$", var.repository))
    error_message = "repository is owner/name, as in github.com/owner/name, or owner@ID/name@ID."
  }
}

variable "jobs" {
  description = "The jobs that take the role, as GitHub names them in their tokens: `environment:NAME` for those of an environment, else `ref:refs/heads/BRANCH` or `pull_request`."
  type        = set(string)

  validation {
    condition = length(var.jobs) > 0 && alltrue([for job in var.jobs :
    can(regex("^(environment:[^:*?]+|ref:refs/(heads|tags)/[^:*?]+|pull_request)$", job))])
    error_message = "jobs holds at least one of environment:NAME, ref:refs/heads/BRANCH, ref:refs/tags/TAG and pull_request, and no patterns."
  }

  validation {
    condition     = var.access == "plan" || !contains(var.jobs, "pull_request")
    error_message = "A pull_request plans and does not deploy: whoever opens one says what its jobs do."
  }
}

variable "names" {
  description = "What the stack's names begin with, and a hyphen ends: `chat-dev` for the stack in terraform/ at the stage dev."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{1,40}$", var.names))
    error_message = "names takes 1 to 40 letters, digits and hyphens, and no pattern."
  }
}

variable "state" {
  description = <<-EOT
    Where Terraform's state is: objects in an S3 bucket, each locked by another one beside it.

    - `bucket`: the bucket, with its `arn`.
    - `keys`: the keys of the objects.
  EOT
  type = object({
    bucket = object({ arn = string })
    keys   = set(string)
  })
  nullable = false

  validation {
    condition     = length(var.state.keys) > 0 && alltrue([for key in var.state.keys : can(regex("^[^*?]+$", key))])
    error_message = "state.keys holds at least one key, and no patterns."
  }
}

variable "statements" {
  description = <<-EOT
    What the role may do besides, where more was written into terraform/main.tf: each grants `actions` on `resources`.

    - `read`: what it takes to plan. The role has it, whatever its `access`.
    - `write`: what it takes to change and to remove. The role has it where its `access` is `deploy`.
  EOT
  type = object({
    read  = optional(list(object({ actions = list(string), resources = list(string) })), [])
    write = optional(list(object({ actions = list(string), resources = list(string) })), [])
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([for s in concat(var.statements.read, var.statements.write) : alltrue(concat(
      [length(s.actions) > 0, length(s.resources) > 0],
      [for action in s.actions : can(regex("^[a-z0-9-]+:[A-Za-z0-9*]+$", action))],
      [for resource in s.resources : can(regex("^(\\*|arn:.+)$", resource))],
    ))])
    error_message = "Each of statements has at least one of actions, as in acm:DescribeCertificate, and one of resources, each an ARN or *."
  }

  validation {
    condition     = alltrue([for action in flatten(var.statements.read[*].actions) : can(regex(":(GET$|BatchGet|Describe|Get|List|Search)", action))])
    error_message = "statements.read takes actions that read, such as acm:DescribeCertificate: whoever opens a pull request can use them. Others belong to statements.write."
  }
}

variable "required_boundary" {
  description = "The ARN of the policy that has to bound each role that this role makes or changes (its permissions boundary); null asks for none. The stack names the same one: `permissions_boundary` in terraform/."
  type        = string
  default     = null

  validation {
    condition     = var.required_boundary == null ? true : can(regex("^arn:[^:]+:iam::([0-9]{12}|aws):policy/.+$", var.required_boundary))
    error_message = "required_boundary is the ARN of a policy: arn:aws:iam::ACCOUNT:policy/NAME."
  }
}

variable "oidc_provider" {
  description = <<-EOT
    GitHub's identity provider, where the account has it already, as it can have one. Left out, it is made.

    - `arn`: its ARN.
  EOT
  type        = object({ arn = string })
  default     = null
}

variable "role" {
  description = <<-EOT
    What the role has, where the account asks for it.

    - `path`: the role's path.
    - `permissions_boundary`: the ARN of a policy that bounds it.
  EOT
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
  })
  default  = {}
  nullable = false
}

variable "tags" {
  description = "Tags for the role and the provider."
  type        = map(string)
  default     = {}
}
