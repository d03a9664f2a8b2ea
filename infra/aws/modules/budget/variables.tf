variable "name" {
  description = "Name of the budget."
  type        = string
}

variable "monthly_usd" {
  description = "What a month may cost."
  type        = number
}

variable "topic_arn" {
  description = "Who is notified."
  type        = string
}

variable "tag" {
  description = "Only costs with this tag count; it must be activated as a cost allocation tag. Null: the whole account."
  type        = object({ key = string, value = string })
  default     = null
}
