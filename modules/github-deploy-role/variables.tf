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
  description = "The purpose of the role: `plan` reads the stack and its state, `deploy` changes both."
  type        = string

  validation {
    condition     = contains(["plan", "deploy"], var.access)
    error_message = "access is \"plan\" or \"deploy\"."
  }
}

variable "repository" {
  description = "The repository on GitHub: `owner@ID/name@ID`, with GitHub's numbers for both, or `owner/name`. The tokens of repositories created, renamed or moved since July 15, 2026 have the numbers."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$|^[A-Za-z0-9-]+@[0-9]+/[A-Za-z0-9._-]+@[0-9]+$", var.repository))
    error_message = "repository is owner/name, as in github.com/owner/name, or owner@ID/name@ID."
  }
}

variable "jobs" {
  description = "The jobs that may assume the role, as GitHub names them in their tokens: `environment:NAME` for jobs of an environment, otherwise `ref:refs/heads/BRANCH` or `pull_request`."
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
  description = "The prefix of the stack's names, without the hyphen at its end: `chat-dev` for the stack in terraform/ at the stage dev."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]{1,40}$", var.names))
    error_message = "names takes 1 to 40 letters, digits and hyphens, and no pattern."
  }
}

variable "state" {
  description = <<-EOT
    The place of Terraform's state: objects in an S3 bucket, each locked by another object beside it.

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
    Further grants of the role, for additions to terraform/main.tf: each statement grants `actions` on `resources`.

    - `read`: the grants for a plan. The role has them, whatever its `access`.
    - `write`: the grants to change and to remove resources. The role has them if its `access` is `deploy`.
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
  description = "The ARN of a policy. Each role that this role creates or changes must have it as its permissions boundary; null requires none. The stack names the same policy: `permissions_boundary` in terraform/."
  type        = string
  default     = null

  validation {
    condition     = var.required_boundary == null ? true : can(regex("^arn:[^:]+:iam::([0-9]{12}|aws):policy/.+$", var.required_boundary))
    error_message = "required_boundary is the ARN of a policy: arn:aws:iam::ACCOUNT:policy/NAME."
  }
}

variable "oidc_provider" {
  description = <<-EOT
    GitHub's identity provider, if the account already has it: an account can have only one. If left out, it is created.

    - `arn`: its ARN.
  EOT
  type        = object({ arn = string })
  default     = null
}

variable "role" {
  description = <<-EOT
    Settings of the role, if the account requires them.

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

variable "tags" {
  description = "Tags for the role and the provider."
  type        = map(string)
  default     = {}
}
