# --- Where and what ---

variable "environment" {
  description = "Which installation this is, such as production or trial: a part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,11}$", var.environment))
    error_message = "2 to 12 small letters, digits and -, a letter first."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "image_digest" {
  description = "Digest of the image in the registry that is made here. Not its tag: a digest names one image for ever."
  type        = string

  validation {
    condition     = can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "sha256: and 64 digits, as `docker push` and the workflow Image print it."
  }
}

variable "architecture" {
  description = "What the image was built for: X86_64 or ARM64."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "X86_64 or ARM64."
  }
}

variable "running" {
  description = "Whether the processes run: false the first time, until image, databases and schemas are there."
  type        = bool
  default     = true
}

# --- Who may call ---

variable "domain" {
  description = "Name under which the APIs and the console are called; point it to the output balancer_address."
  type        = string
}

variable "certificate_arn" {
  description = "Certificate for that name, in ACM."
  type        = string
}

variable "public" {
  description = "Whether the load balancer is on the internet, or inside the VPC only."
  type        = bool
  default     = false
}

variable "allowed_cidrs" {
  description = "From where the APIs and the console may be called."
  type        = list(string)

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "At least one range of IPv4 addresses such as 10.0.0.0/8."
  }
}

variable "web_acl_arn" {
  description = "A web application firewall (WAFv2) for the load balancer; null: none."
  type        = string
  default     = null
}

variable "auth" {
  description = "Who may call the APIs, as in .env.example: mode keys or oidc. With oidc, NAT gateways lead to the issuer's addresses."
  type = object({
    mode              = string
    oidc_issuer       = optional(string)
    oidc_audience     = optional(string)
    oidc_issuer_cidrs = optional(list(string), [])
    role_claim        = optional(string)
    portfolio_claim   = optional(string)
    clients           = optional(string)
    token_type        = optional(string)
    max_age_seconds   = optional(number)
    cors_origins      = optional(string)
    rate_limit        = optional(number, 0)
  })

  validation {
    condition     = contains(["keys", "oidc"], var.auth.mode)
    error_message = "The mode is keys or oidc: no API is open to everybody."
  }

  validation {
    condition     = var.auth.mode != "oidc" || (var.auth.oidc_issuer != null && var.auth.oidc_audience != null)
    error_message = "oidc needs oidc_issuer and oidc_audience."
  }

  validation {
    condition     = var.auth.mode != "oidc" || length(var.auth.oidc_issuer_cidrs) > 0
    error_message = "oidc needs oidc_issuer_cidrs, the addresses that the APIs may call: the issuer's and no others."
  }

  validation {
    condition     = alltrue([for cidr in var.auth.oidc_issuer_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "oidc_issuer_cidrs are ranges of IPv4 addresses such as 203.0.113.0/24, and not all addresses."
  }

  validation {
    condition     = !var.public || var.auth.rate_limit > 0
    error_message = "A load balancer on the internet needs a rate_limit: requests a minute for each client."
  }
}

variable "console" {
  description = "The console, at / of the same domain; null: none. With oidc, the client as which it signs people in, and whether that has a secret."
  type = object({
    cpu                = optional(number, 256)
    memory             = optional(number, 512)
    count              = optional(number, 1)
    session_hours      = optional(number, 12)
    oidc_client_id     = optional(string)
    oidc_client_secret = optional(bool, false)
    oidc_scope         = optional(string, "openid")
    oidc_sends         = optional(string, "access_token")
  })
  default = null

  validation {
    condition     = var.console == null ? true : var.auth.mode != "oidc" || var.console.oidc_client_id != null
    error_message = "With oidc the console needs oidc_client_id, the client as which it signs people in."
  }

  validation {
    condition     = var.console == null ? true : contains(["access_token", "id_token"], var.console.oidc_sends)
    error_message = "oidc_sends is access_token or id_token."
  }

  validation {
    condition     = var.console == null ? true : var.console.count >= 1
    error_message = "The console needs a task; for no console, leave it null."
  }
}

# --- Network ---

variable "cidr" {
  description = "Addresses of the VPC, /16 to /20."
  type        = string
  default     = "10.40.0.0/16"
}

variable "zones" {
  description = "Availability zones, two or three. Named, so that a zone that AWS adds moves nothing."
  type        = list(string)
}

# --- Processes ---

variable "sizes" {
  description = "Processor units, MiB of memory and number of tasks of each process; the consumer's number is its least."
  type        = map(object({ cpu = number, memory = number, count = number }))

  validation {
    condition     = toset(keys(var.sizes)) == toset(["risk-api", "dispatcher", "debt-api", "consumer"])
    error_message = "The processes are risk-api, dispatcher, debt-api and consumer."
  }

  validation {
    condition     = alltrue([for size in values(var.sizes) : size.count >= 1])
    error_message = "Each process needs a task; to stop all of them, set `running` to false."
  }
}

variable "consumers" {
  description = "Consumers at most; waiting batches that one should take; age in seconds of a waiting batch that adds more; spare capacity."
  type = object({
    most        = number
    backlog     = optional(number, 100)
    age_seconds = optional(number, 120)
    on_spot     = optional(bool, false)
  })

  validation {
    condition     = var.consumers.most >= var.sizes["consumer"].count
    error_message = "At most cannot be fewer than the consumer's number in `sizes`."
  }
}

variable "unsigned_until" {
  description = "Until when messages without a MAC are accepted, such as 2027-01-31T18:00:00Z, for an upgrade; null: never."
  type        = string
  default     = null

  validation {
    condition     = var.unsigned_until == null || can(regex("Z$", var.unsigned_until)) && can(formatdate("YYYY", var.unsigned_until))
    error_message = "An instant in UTC, such as 2027-01-31T18:00:00Z."
  }
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
  default = {}
}

# --- Data ---

variable "queue_encryption" {
  description = "sqs: SQS's own keys, free. kms: the installation's key, at KMS's price for each call that needs it."
  type        = string
  default     = "sqs"

  validation {
    condition     = contains(["sqs", "kms"], var.queue_encryption)
    error_message = "sqs or kms."
  }
}

variable "databases" {
  description = "Each service's own database."
  type = map(object({
    instance_class       = string
    storage_gb           = number
    max_storage_gb       = number
    max_connections      = number
    multi_az             = bool
    performance_insights = bool
  }))

  validation {
    condition     = toset(keys(var.databases)) == toset(["risk", "debt"])
    error_message = "The databases are risk and debt."
  }

  validation {
    # A process opens at most 16, and while a new version starts there are twice as many processes.
    condition = alltrue([
      var.databases["risk"].max_connections >= 2 * 16 * (var.sizes["risk-api"].count + var.sizes["dispatcher"].count),
      var.databases["debt"].max_connections >= 2 * 16 * (var.sizes["debt-api"].count + var.consumers.most),
    ])
    error_message = "max_connections must be at least 32 for each API task, dispatcher and consumer of its service."
  }
}

variable "backup_days" {
  description = "For how many days databases can be put back to any second."
  type        = number
  default     = 14
}

variable "protected" {
  description = "Refuse to delete databases and load balancer, and keep deleted secrets for 30 days."
  type        = bool
  default     = true
}

variable "log_days" {
  description = "How long logs are kept."
  type        = number
  default     = 365
}

variable "database_ca_file" {
  description = "Where the image has the certificates that sign those of RDS; see image/Dockerfile."
  type        = string
  default     = "/etc/ssl/rds-global-bundle.pem"
}

# --- Watching ---

variable "emails" {
  description = "Who is notified of alarms and of the budget; each has to confirm once."
  type        = list(string)
}

variable "alarm_limits" {
  description = "Thresholds of the alarms, where the defaults of modules/watching do not fit."
  type        = map(number)
  default     = {}
}

variable "monthly_usd" {
  description = "What a month may cost."
  type        = number
}
