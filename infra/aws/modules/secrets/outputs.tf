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

output "owner_url_arns" {
  description = "The secret with the database URL of each service's migration."
  value       = { for service, secret in aws_secretsmanager_secret.owner_url : service => secret.arn }
}

output "owner_url_names" {
  description = "Names of the same secrets."
  value       = { for service, secret in aws_secretsmanager_secret.owner_url : service => secret.name }
}

output "message_keys" {
  description = "The secret with the keys of the messages: its ARN and its name."
  value       = { arn = aws_secretsmanager_secret.message_keys.arn, name = aws_secretsmanager_secret.message_keys.name }
}

output "console_arns" {
  description = "The console's secrets: session and, if the issuer has one for it, oidc-client."
  value       = { for which, secret in aws_secretsmanager_secret.console : which => secret.arn }
}

output "console_names" {
  description = "Names of the same secrets."
  value       = { for which, secret in aws_secretsmanager_secret.console : which => secret.name }
}
