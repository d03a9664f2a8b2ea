variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "account_id" {
  description = "AWS account."
  type        = string
}

variable "cluster" {
  description = "Name of the ECS cluster."
  type        = string
}

variable "services" {
  description = "Name of each process's ECS service."
  type        = map(string)
}

variable "balancer" {
  description = "The load balancer and its target groups as CloudWatch calls them."
  type        = object({ metric = string, targets = map(string) })
}

variable "queues" {
  description = "Name of each queue."
  type        = map(string)
}

variable "databases" {
  description = "Identifier of each service's database, and its limit of connections."
  type        = map(object({ id = string, max_connections = number }))
}

variable "kms_key_arn" {
  description = "Key that encrypts notices."
  type        = string
}

variable "emails" {
  description = "Who is notified; each has to confirm once."
  type        = list(string)
}

variable "enabled" {
  description = "Whether alarms notify: false while nothing runs."
  type        = bool
}

variable "limits" {
  description = "Thresholds of the alarms."
  type = object({
    api_error_percent            = optional(number, 5)
    api_seconds                  = optional(number, 2)
    run_stalled_seconds          = optional(number, 1800)
    debtors_failing              = optional(number, 100)
    batch_seconds                = optional(number, 5)
    high_age_seconds             = optional(number, 300)
    standard_age_seconds         = optional(number, 3600)
    results_age_seconds          = optional(number, 120)
    pool_connections             = optional(number, 13) # an API uses 14 of the 16 that a process may open
    database_cpu_percent         = optional(number, 90)
    database_free_bytes          = optional(number, 5368709120)
    database_connections_percent = optional(number, 80)
  })
  default = {}
}
