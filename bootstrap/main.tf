# The account's resources for deployments from GitHub Actions. Somebody who may create roles creates them once: `make bootstrap`.

terraform {
  required_version = ">= 1.10" # the first version that locks a state in S3

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "state_bucket" {
  description = "The name of the bucket for Terraform's state. The name must be unique across all accounts."
  type        = string
}

variable "repository" {
  description = "The repository on GitHub: `owner@ID/name@ID`, or `owner/name` if it is older than July 15, 2026."
  type        = string
}

variable "branch" {
  description = "The branch that is deployed."
  type        = string
  default     = "main"
}

variable "name" {
  description = "The name of the backend, as in terraform/."
  type        = string
  default     = "chat"
}

variable "stages" {
  description = "The stages. Each is an environment of the repository with its own role."
  type        = set(string)
  default     = ["dev", "prod"]

  validation {
    condition     = alltrue([for pair in setproduct(var.stages, var.stages) : !startswith(pair[1], "${pair[0]}-")])
    error_message = "No stage begins as another and a hyphen: the other's role could change it."
  }
}

variable "oidc_provider" {
  description = "The ARN of GitHub's identity provider, if the account already has it."
  type        = string
  default     = null
}

variable "required_boundary" {
  description = "The ARN of a policy. Every role that the deploying roles create must have it as its permissions boundary; null if the account requires none. In terraform/, it is the `permissions_boundary`."
  type        = string
  default     = null
}

variable "global_name_suffix" {
  description = "The suffix of the roles' names, for example the Region, if there is a bootstrap in several Regions of the account."
  type        = string
  default     = null
}

variable "statements" {
  description = "Further grants of the roles, for additions to terraform/main.tf, in the form of the module github-deploy-role: `read` for all roles, `write` for those that deploy."
  type = object({
    read  = optional(list(object({ actions = list(string), resources = list(string) })), [])
    write = optional(list(object({ actions = list(string), resources = list(string) })), [])
  })
  default  = {}
  nullable = false
}

# The author of a pull request decides what its jobs do. The only role that these jobs can assume is one that reads, as long as
# the environments are limited to the branch. The commands of the output `next` limit them.
module "plan" {
  source = "../modules/github-deploy-role"

  name          = join("-", compact(["github", var.name, "plan", var.global_name_suffix]))
  access        = "plan"
  repository    = var.repository
  jobs          = ["pull_request", "ref:refs/heads/${var.branch}"]
  names         = var.name
  state         = { bucket = aws_s3_bucket.state, keys = [for stage in var.stages : "${stage}.tfstate"] }
  statements    = var.statements
  oidc_provider = one([for arn in var.oidc_provider[*] : { arn = arn }])
}

module "deploy" {
  source   = "../modules/github-deploy-role"
  for_each = var.stages

  name          = join("-", compact(["github", var.name, each.key, var.global_name_suffix]))
  access        = "deploy"
  repository    = var.repository
  jobs          = ["environment:${each.key}"]
  names         = "${var.name}-${each.key}"
  state         = { bucket = aws_s3_bucket.state, keys = ["${each.key}.tfstate"] }
  statements    = var.statements
  oidc_provider = module.plan.oidc_provider

  required_boundary = var.required_boundary
}

resource "aws_s3_bucket" "state" {
  bucket = var.state_bucket

  lifecycle {
    prevent_destroy = true
  }
}

# An overwritten state can be restored.
resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NothingInTheClear"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.state]
}

data "aws_region" "this" {}

locals {
  on_github = replace(var.repository, "/@[0-9]+/", "")
}

output "next" {
  description = "The settings of the repository, as commands of GitHub's `gh`."
  value = join("\n", concat(
    [
      "gh variable set AWS_REGION --repo ${local.on_github} --body ${data.aws_region.this.id}",
      "gh variable set STATE_BUCKET --repo ${local.on_github} --body ${aws_s3_bucket.state.id}",
      "gh variable set AWS_ROLE --repo ${local.on_github} --body ${module.plan.role_arn}",
    ],
    flatten([for stage in sort(var.stages) : [
      "gh api --silent --method PUT repos/${local.on_github}/environments/${stage} -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'",
      "gh api --silent --method POST repos/${local.on_github}/environments/${stage}/deployment-branch-policies -f name=${var.branch}",
      "gh variable set AWS_ROLE --repo ${local.on_github} --env ${stage} --body ${module.deploy[stage].role_arn}",
    ]]),
  ))
}

output "role_arns" {
  description = "The ARNs of the roles: of `plan`, and of each stage."
  value       = merge({ plan = module.plan.role_arn }, { for stage, role in module.deploy : stage => role.role_arn })
}
