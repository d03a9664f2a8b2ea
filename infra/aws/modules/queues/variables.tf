variable "name" {
  description = "What the queues' names begin with."
  type        = string

  validation {
    # 80 characters are SQS's limit; the longest ending is "-batches-standard-dlq".
    condition     = can(regex("^[A-Za-z0-9_-]{1,59}$", var.name))
    error_message = "Letters, digits, - and _, at most 59 of them."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts messages; null lets SQS use its own, which costs nothing."
  type        = string
  default     = null
}

variable "visibility_seconds" {
  description = "How long a message stays hidden once taken. The consumer extends it while it works."
  type        = number
  default     = 60

  validation {
    # The clients' read timeout is 30 s: a shorter time could pass while an answer is still awaited.
    condition     = var.visibility_seconds > 30 && var.visibility_seconds <= 43200
    error_message = "More than 30 s, at most 12 hours."
  }
}

variable "max_receives" {
  description = "How often a message may be taken before it is a dead letter."
  type        = number
  default     = 5

  validation {
    condition     = var.max_receives >= 2 && var.max_receives <= 1000
    error_message = "From 2 to 1000: with 1, a consumer that dies loses what it held to the dead letters."
  }
}

variable "restrict_redrive" {
  description = "Let each dead-letter queue take messages from its own queue only. moto cannot do this."
  type        = bool
  default     = true
}
