# A job of GitHub Actions presents a token that GitHub signs, and gets this role's credentials for an hour: no key is stored.

locals {
  issuer = "token.actions.githubusercontent.com"
  # The names in the tokens of older repositories, and of newer ones.
  repository    = replace(var.repository, "/@[0-9]+/", "")
  repositories  = distinct([local.repository, var.repository])
  oidc_provider = coalesce(one(var.oidc_provider[*].arn), one(aws_iam_openid_connect_provider.github[*].arn))
}

# An account has one provider for each issuer.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.oidc_provider == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
  tags           = var.tags
}

resource "aws_iam_role" "this" {
  name                 = var.name
  description          = "GitHub Actions of ${local.repository}: ${var.access} of ${var.names}."
  path                 = var.role.path
  permissions_boundary = var.role.permissions_boundary
  tags                 = var.tags

  # The names of jobs must match exactly: a pattern would also match jobs that it was not meant for.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.oidc_provider }
      Condition = { StringEquals = {
        "${local.issuer}:aud" = "sts.amazonaws.com"
        "${local.issuer}:sub" = sort([for of in setproduct(local.repositories, var.jobs) : "repo:${of[0]}:${of[1]}"])
      } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = var.access
  role   = aws_iam_role.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}
