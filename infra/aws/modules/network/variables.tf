variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC; a /16 to /20."
  type        = string
}

variable "zones" {
  description = "Availability zones, two or three."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 3
    error_message = "Two or three zones."
  }
}

variable "public" {
  description = "Whether the load balancer is on the internet, or inside the VPC."
  type        = bool
}

variable "allowed_cidrs" {
  description = "From where the APIs may be called."
  type        = list(string)
}

variable "issuer_cidrs" {
  description = "Addresses outside that the APIs may call by https, through one NAT gateway a zone: those of the OpenID Connect issuer."
  type        = set(string)

  validation {
    condition     = alltrue([for cidr in var.issuer_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Ranges of IPv4 addresses such as 203.0.113.0/24, and not all addresses."
  }
}

variable "account_id" {
  description = "AWS account, whose principals alone may use the endpoints."
  type        = string
}

variable "partition" {
  description = "AWS partition, `aws` nearly everywhere."
  type        = string
}

variable "processes" {
  description = "Who runs here: the service whose database each may reach, null for the console, which only calls APIs; and the port of those that the load balancer calls."
  type        = map(object({ service = optional(string), port = optional(number) }))
}

variable "kms_key_arn" {
  description = "Key that encrypts the flow log."
  type        = string
}

variable "log_days" {
  description = "How long the flow log is kept."
  type        = number
}
