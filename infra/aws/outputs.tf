output "balancer_address" {
  description = "Point the domain to this name."
  value       = module.services.balancer.address
}

output "api_urls" {
  description = "Where the APIs are, for RISK_API_URL and DEBT_API_URL of the command line."
  value       = { for service in local.services : service => "https://${var.domain}" }
}

output "console_url" {
  description = "Where people open the console; null without it."
  value       = var.console == null ? null : "https://${var.domain}"
}

output "console_secrets" {
  description = "For console-secret.sh: the secret that seals sessions, and that of the issuer's client."
  value       = module.secrets.console_names
}

output "registry_url" {
  description = "Where to push the image."
  value       = module.registry.url
}

output "cluster" {
  description = "Name of the ECS cluster."
  value       = module.services.cluster
}

output "jobs" {
  description = "Task definitions to be run by hand: prepare-… and migrate-…"
  value       = module.services.jobs
}

output "job_networks" {
  description = "Where each service's tasks are run, as `aws ecs run-task --network-configuration` wants it."
  value = { for service, process in { risk = "dispatcher", debt = "consumer" } : service => jsonencode({
    awsvpcConfiguration = {
      subnets        = module.network.private_subnet_ids
      securityGroups = [module.network.process_group_ids[process]]
      assignPublicIp = "DISABLED"
    }
  }) }
}

output "database_urls" {
  description = "For database-password.sh: the secret of each service and of its migration (-owner), and its URL without the password."
  value = merge(
    { for service, database in module.database : service => {
      secret = module.secrets.database_url_names[service]
      before = "mysql+pymysql://${service}:"
      after  = "@${database.address}:3306/${service}?ssl_ca=${var.database_ca_file}"
    } },
    { for service, database in module.database : "${service}-owner" => {
      secret = module.secrets.owner_url_names[service]
      before = "mysql+pymysql://${service}_owner:"
      after  = "@${database.address}:3306/${service}?ssl_ca=${var.database_ca_file}"
    } },
  )
}

output "message_keys" {
  description = "For message-keys.sh: the secret with the keys of the messages."
  value       = module.secrets.message_keys.name
}

output "queues" {
  description = "Name of each queue."
  value       = module.queues.names
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard."
  value       = module.watching.dashboard
}

output "containers" {
  description = "What runs in each task, for tests and auditors. Secrets are named, not shown."
  value       = module.services.containers
}

output "policies" {
  description = "What each process may do, for tests and auditors."
  value       = module.roles.policies
}

output "alarms" {
  description = "What each alarm says and looks at, for tests and people who tune them."
  value       = module.watching.alarms
}
