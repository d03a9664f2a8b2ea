variable "name" {
  description = "Name of the repository."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts images."
  type        = string
}

variable "keep_images" {
  description = "How many images are kept for going back."
  type        = number
  default     = 30
}
