variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least."
  type        = list(string)
}

variable "group_id" {
  description = "Security group that says who may connect."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts storage, backups, insights and the master password."
  type        = string
}

variable "instance_class" {
  description = "Size of the instance."
  type        = string
}

variable "storage_gb" {
  description = "Storage at the start."
  type        = number
}

variable "max_storage_gb" {
  description = "Up to where storage grows by itself."
  type        = number
}

variable "max_connections" {
  description = "Connections at most."
  type        = number
}

variable "multi_az" {
  description = "Keep a standby in another zone."
  type        = bool
}

variable "backup_days" {
  description = "For how many days it can be put back to any second."
  type        = number
}

variable "protected" {
  description = "Refuse to delete it, and keep a last snapshot if it is."
  type        = bool
}

variable "performance_insights" {
  description = "Whether to watch statements; db.t4g.micro and db.t4g.small cannot."
  type        = bool
}

variable "apply_immediately" {
  description = "Whether changes happen now rather than in the maintenance window."
  type        = bool
}

variable "log_days" {
  description = "How long the error log is kept."
  type        = number
}
