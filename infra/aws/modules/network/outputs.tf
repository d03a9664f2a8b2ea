output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "balancer_subnet_ids" {
  description = "Where the load balancer stands."
  value       = [for zone in var.zones : var.public ? aws_subnet.public[zone].id : aws_subnet.private[zone].id]
}

output "balancer_cidrs" {
  description = "Addresses that the load balancer calls from."
  value       = [for zone in var.zones : var.public ? aws_subnet.public[zone].cidr_block : aws_subnet.private[zone].cidr_block]
}

output "private_subnet_ids" {
  description = "Where tasks and databases are."
  value       = [for zone in var.zones : aws_subnet.private[zone].id]
}

output "balancer_group_id" {
  description = "Security group of the load balancer."
  value       = aws_security_group.balancer.id
}

output "process_group_ids" {
  description = "Security group of each process."
  value       = { for name, group in aws_security_group.process : name => group.id }
}

output "database_group_ids" {
  description = "Security group of each service's database."
  value       = { for name, group in aws_security_group.database : name => group.id }
}
