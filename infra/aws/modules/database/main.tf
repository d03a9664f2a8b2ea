# RDS for MySQL 8.4: encrypted, reached over TLS only, exact utf8mb4 text as the tables have it. Called once a service.

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "mysql8.4"
  description = "TLS only, utf8mb4, a limit on connections"

  parameter {
    name  = "require_secure_transport"
    value = "1" # ON, as RDS spells it
  }

  parameter {
    name  = "character_set_server"
    value = "utf8mb4"
  }

  parameter {
    name  = "collation_server"
    value = "utf8mb4_bin"
  }

  parameter {
    name  = "local_infile"
    value = "0"
  }

  parameter {
    name  = "max_connections"
    value = tostring(var.max_connections)
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role" "monitoring" {
  name = "${var.name}-monitoring"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

data "aws_partition" "this" {}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

# Made here, because RDS would make it without an end.
resource "aws_cloudwatch_log_group" "error" {
  name              = "/aws/rds/instance/${var.name}/error"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_db_instance" "this" {
  # checkov:skip=CKV_AWS_157:Multi-AZ is the setting `multi_az`; production has it.
  # checkov:skip=CKV_AWS_293:Deletion protection is the setting `protected`; production has it.
  # checkov:skip=CKV_AWS_353:Performance Insights is a setting, because small instances cannot; production has it.
  # checkov:skip=CKV_AWS_161:The services log in with a password; a token of IAM lives for 15 minutes and they know of none.
  # checkov:skip=CKV2_AWS_60:Tags are copied, see copy_tags_to_snapshot.
  identifier     = var.name
  engine         = "mysql"
  engine_version = "8.4"
  instance_class = var.instance_class

  storage_type          = "gp3"
  allocated_storage     = var.storage_gb
  max_allocated_storage = var.max_storage_gb
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  # The master makes the service's database and user (task `prepare`); no service ever logs in as the master.
  username                      = "master"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.kms_key_arn

  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [var.group_id]
  publicly_accessible    = false
  multi_az               = var.multi_az
  parameter_group_name   = aws_db_parameter_group.this.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  backup_retention_period   = var.backup_days
  backup_window             = "02:00-03:00"
  maintenance_window        = "sun:03:30-sun:04:30"
  copy_tags_to_snapshot     = true
  delete_automated_backups  = !var.protected
  deletion_protection       = var.protected
  skip_final_snapshot       = !var.protected
  final_snapshot_identifier = var.protected ? "${var.name}-last" : null

  auto_minor_version_upgrade = true
  apply_immediately          = var.apply_immediately

  # Errors only: the general and the slow log would show values of debtors in plain text.
  enabled_cloudwatch_logs_exports = ["error"]
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn

  performance_insights_enabled          = var.performance_insights
  performance_insights_kms_key_id       = var.performance_insights ? var.kms_key_arn : null
  performance_insights_retention_period = var.performance_insights ? 7 : null

  depends_on = [aws_iam_role_policy_attachment.monitoring, aws_cloudwatch_log_group.error]
}
