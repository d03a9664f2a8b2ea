output "id" {
  description = "Identifier of the instance."
  value       = aws_db_instance.this.identifier
}

output "address" {
  description = "Host name of the instance."
  value       = aws_db_instance.this.address
}

output "master_secret_arn" {
  description = "The secret with the master's name and password, kept and changed by RDS."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}
