variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "image" {
  description = "Image with its digest: a tag can be moved to another image."
  type        = string

  validation {
    condition     = can(regex("^[^@[:space:]]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "An image is named by its digest: repository@sha256:…"
  }
}

variable "architecture" {
  description = "What the image was built for: X86_64 or ARM64."
  type        = string
}

variable "running" {
  description = "Whether anything runs: false until image, databases and schemas are there."
  type        = bool
}

variable "sizes" {
  description = "Processor units, MiB of memory and number of tasks of each process; the consumer's number is its least."
  type        = map(object({ cpu = number, memory = number, count = number }))
}

variable "consumers_most" {
  description = "Consumers at most."
  type        = number
}

variable "consumers_backlog" {
  description = "Waiting batches that one consumer is expected to take: more of them start more consumers."
  type        = number
}

variable "consumers_age_seconds" {
  description = "When the oldest message of either lane waits for longer, consumers are added at once."
  type        = number
}

variable "consumers_on_spot" {
  description = "Run consumers beyond the least on spare capacity, which AWS may take back: what they held comes again."
  type        = bool
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "private_subnet_ids" {
  description = "Where tasks run."
  type        = list(string)
}

variable "process_group_ids" {
  description = "Security group of each process."
  type        = map(string)
}

variable "balancer" {
  description = "Where the load balancer stands and who may call it."
  type = object({
    public          = bool
    subnet_ids      = list(string)
    cidrs           = list(string)
    group_id        = string
    certificate_arn = string
    protected       = bool
    web_acl_arn     = optional(string)
  })
}

variable "queues" {
  description = "Names and habits of the queues."
  type        = object({ names = map(string), visibility_seconds = number, max_receives = number })
}

variable "secrets" {
  description = "Secrets with each service's database URL, that of its migration, each master's password, the message keys, and the console's."
  type = object({
    database_urls = map(string)
    owner_urls    = map(string)
    masters       = map(string)
    message_keys  = string
    console       = optional(map(string), {})
  })
}

variable "roles" {
  description = "Roles of processes and of their starts."
  type        = object({ process = map(string), start = map(string) })
}

variable "unsigned_until" {
  description = "Until when messages without a MAC are accepted; null: never."
  type        = string
}

variable "auth" {
  description = "Who may call the APIs; see RECOVERY_AUTH."
  type = object({
    mode            = string
    oidc_issuer     = optional(string)
    oidc_audience   = optional(string)
    role_claim      = optional(string)
    portfolio_claim = optional(string)
    clients         = optional(string)
    token_type      = optional(string)
    max_age_seconds = optional(number)
    cors_origins    = optional(string)
    rate_limit      = optional(number, 0)
  })
}

variable "console" {
  description = "The console and its address in browsers; null: none."
  type = object({
    url            = string
    session_hours  = optional(number, 12)
    oidc_client_id = optional(string)
    oidc_scope     = optional(string, "openid")
    oidc_sends     = optional(string, "access_token")
  })
  default = null
}

variable "tuning" {
  description = "Further settings of the processes; see .env.example."
  type = object({
    log_level            = optional(string, "info")
    emf_seconds          = optional(number, 60)
    max_outstanding      = optional(number, 0)
    resend_after_seconds = optional(number, 300)
    prefetch             = optional(number, 40)
    workers              = optional(number, 0)
  })
}

variable "kms_key_arn" {
  description = "Key that encrypts logs."
  type        = string
}

variable "log_days" {
  description = "How long logs are kept."
  type        = number
}
