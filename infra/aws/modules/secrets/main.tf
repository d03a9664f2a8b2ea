# The key that encrypts everything at rest; two secrets for each service, its database's URL for the processes and the one for
# the migration, passwords included; the keys of the messages; and those of the console, if there is one. Terraform makes the
# secrets and never sees what is in them, so none stands in its state: see database-password.sh, message-keys.sh and
# console-secret.sh.

locals {
  log_groups = "arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:"
  root       = "arn:${var.partition}:iam::${var.account_id}:root"
}

resource "aws_kms_key" "this" {
  description             = "${var.name}: databases, secrets, logs, images, notices"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheAccountDecides"
        Effect    = "Allow"
        Principal = { AWS = local.root }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = [
              "${local.log_groups}/${var.name}/*",
              "${local.log_groups}/aws/rds/instance/${var.name}-*",
            ]
          }
        }
      },
      {
        Sid       = "Notices"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_secretsmanager_secret" "database_url" {
  # checkov:skip=CKV2_AWS_57:Changed by database-password.sh: a running task reads its secret only when it starts.
  for_each = var.services

  name                    = "${var.name}/${each.key}-database-url"
  description             = "${upper(each.key)}_DATABASE_URL"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret" "owner_url" {
  # checkov:skip=CKV2_AWS_57:Changed by database-password.sh, as the one above.
  for_each = var.services

  name                    = "${var.name}/${each.key}-owner-url"
  description             = "${upper(each.key)}_DATABASE_URL of the migration, whose account owns the tables"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret" "message_keys" {
  # checkov:skip=CKV2_AWS_57:Changed by message-keys.sh: every process must know a new key before the first one signs with it.
  name                    = "${var.name}/message-keys"
  description             = "RECOVERY_MESSAGE_KEYS"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret" "console" {
  # checkov:skip=CKV2_AWS_57:Changed by console-secret.sh: a running task reads its secret only when it starts.
  for_each = var.console

  name                    = "${var.name}/console-${each.key}"
  description             = "CONSOLE_${upper(replace(each.key, "-", "_"))}_SECRET"
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.recovery_days
}
