# A database, against a mocked AWS.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                 = "test-risk"
  subnet_ids           = ["subnet-1", "subnet-2"]
  group_id             = "sg-1"
  kms_key_arn          = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001"
  instance_class       = "db.m7g.large"
  storage_gb           = 100
  max_storage_gb       = 1000
  max_connections      = 400
  multi_az             = true
  backup_days          = 14
  protected            = true
  performance_insights = true
  apply_immediately    = false
  log_days             = 365
}

run "database" {
  module {
    source = "./modules/database"
  }

  assert {
    condition = (
      aws_db_instance.this.engine == "mysql" && aws_db_instance.this.engine_version == "8.4" && aws_db_instance.this.multi_az
      && aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible
      && aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot
      && aws_db_instance.this.manage_master_user_password && aws_db_instance.this.performance_insights_enabled
      && aws_db_instance.this.backup_retention_period == 14
    )
    error_message = "MySQL 8.4 with a standby, encrypted, inside, protected, backed up, its master's password kept by RDS."
  }

  assert {
    condition = alltrue([for name, value in {
      require_secure_transport = "1", character_set_server = "utf8mb4", collation_server = "utf8mb4_bin", max_connections = "400"
    } : anytrue([for parameter in aws_db_parameter_group.this.parameter : parameter.name == name && parameter.value == value])])
    error_message = "TLS only, exact text, a limit on connections."
  }

  assert {
    condition     = toset(aws_db_instance.this.enabled_cloudwatch_logs_exports) == toset(["error"])
    error_message = "Logs of statements would show values of debtors."
  }
}
