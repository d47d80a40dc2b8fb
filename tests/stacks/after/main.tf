# The account's role for logs, in a stack that makes something before it, and changes that.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "before" {
  type    = string
  default = "first"
}

resource "terraform_data" "before" {
  input = var.before
}

module "account_logging" {
  source = "../../../modules/account-logging"

  depends_on = [terraform_data.before]
}
