output "role_arn" {
  description = "The role's ARN: what a workflow takes on."
  value       = aws_iam_role.this.arn
  depends_on  = [aws_iam_role_policy.this]
}

output "oidc_provider" {
  description = "GitHub's identity provider, as another role's `oidc_provider` takes it."
  value       = { arn = local.oidc_provider }
}
