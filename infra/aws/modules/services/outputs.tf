output "cluster" {
  description = "Name of the cluster."
  value       = aws_ecs_cluster.this.name
}

output "services" {
  description = "Name of each process's service in the cluster."
  value       = merge({ consumer = aws_ecs_service.consumer.name }, { for name, service in aws_ecs_service.this : name => service.name })
}

output "jobs" {
  description = "Task definitions to be run by hand."
  value       = { for name in keys(local.jobs) : name => aws_ecs_task_definition.this[name].family }
}

output "balancer" {
  description = "The load balancer: its address, its zone, and its names and those of its target groups in CloudWatch."
  value = {
    address = aws_lb.this.dns_name
    zone_id = aws_lb.this.zone_id
    metric  = aws_lb.this.arn_suffix
    targets = { for name, group in aws_lb_target_group.api : name => group.arn_suffix }
  }
}

output "containers" {
  description = "What runs in each task, for tests and auditors. Secrets are named, not shown."
  value       = local.containers
}
