output "names" {
  description = "Name of each queue, dead-letter queues with -dlq."
  value       = { for key, queue in local.every_queue : key => queue.name }
}

output "arns" {
  description = "ARN of each queue, by the same keys."
  value       = { for key, queue in local.every_queue : key => queue.arn }
}

output "visibility_seconds" {
  description = "How long a message stays hidden once taken."
  value       = var.visibility_seconds
}

output "max_receives" {
  description = "How often a message may be taken before it is a dead letter."
  value       = var.max_receives
}
