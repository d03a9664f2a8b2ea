output "process_role_arns" {
  description = "Role of each process."
  value       = { for process, role in aws_iam_role.process : process => role.arn }
}

output "start_role_arns" {
  description = "Role under which ECS starts each service's processes, the console, and the tasks `migrate-…` and `prepare-…`."
  value       = { for name, role in aws_iam_role.start : name => role.arn }
}

output "policies" {
  description = "What each process may do, for tests and auditors."
  value       = { for process, policy in aws_iam_role_policy.process : process => jsondecode(policy.policy).Statement }
}
