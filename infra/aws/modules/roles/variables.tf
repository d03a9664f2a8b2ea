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

variable "partition" {
  description = "AWS partition, `aws` nearly everywhere."
  type        = string
}

variable "queue_arns" {
  description = "ARN of each queue, as the module `queues` gives them."
  type        = map(string)
}

variable "queue_key_arn" {
  description = "Key that encrypts messages; null when SQS uses its own."
  type        = string
  default     = null
}

variable "repository_arn" {
  description = "Where the image comes from."
  type        = string
}

variable "database_url_arns" {
  description = "The secret with each service's database URL."
  type        = map(string)
}

variable "owner_url_arns" {
  description = "The secret with the database URL of each service's migration."
  type        = map(string)
}

variable "message_keys_arn" {
  description = "The secret with the keys of the messages."
  type        = string
}

variable "master_secret_arns" {
  description = "The secret with each database's master password."
  type        = map(string)
}

variable "console_arns" {
  description = "The console's secrets; none without a console."
  type        = map(string)
}

variable "key_arn" {
  description = "Key that encrypts the secrets."
  type        = string
}
