terraform {
  required_version = ">= 1.9"

  # Where the state lies is given to `terraform init -backend-config=…`: see README.md.
  backend "s3" {}

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
