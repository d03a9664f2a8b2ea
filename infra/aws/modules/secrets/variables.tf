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

variable "services" {
  description = "The services, each with a database of its own."
  type        = set(string)
}

variable "console" {
  description = "Which secrets the console has: session and oidc-client, or none without a console."
  type        = set(string)
}

variable "recovery_days" {
  description = "For how long a deleted secret can be restored; 0 deletes it at once."
  type        = number
}
