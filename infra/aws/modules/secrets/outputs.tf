output "key_arn" {
  description = "The key that encrypts everything at rest."
  value       = aws_kms_key.this.arn
}

output "database_url_arns" {
  description = "The secret with each service's database URL."
  value       = { for service, secret in aws_secretsmanager_secret.database_url : service => secret.arn }
}

output "database_url_names" {
  description = "Names of the same secrets."
  value       = { for service, secret in aws_secretsmanager_secret.database_url : service => secret.name }
}
