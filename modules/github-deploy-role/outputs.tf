output "role_arn" {
  description = "The ARN of the role, which a workflow assumes."
  value       = aws_iam_role.this.arn
  depends_on  = [aws_iam_role_policy.this]
}

output "oidc_provider" {
  description = "GitHub's identity provider, in the form of another role's `oidc_provider`."
  value       = { arn = local.oidc_provider }
}
