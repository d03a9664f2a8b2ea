# The whole system, small, to be thrown away again. Replace image, domain, certificate, ranges and addresses with your own.
environment = "trial"
region      = "us-east-1"
zones       = ["us-east-1a", "us-east-1b"]

image_digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

domain          = "recovery-trial.example.com"
certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
public          = true
allowed_cidrs   = ["203.0.113.0/24"]
auth            = { mode = "keys", rate_limit = 120 }

sizes = {
  risk-api   = { cpu = 256, memory = 512, count = 1 }
  dispatcher = { cpu = 256, memory = 512, count = 1 }
  debt-api   = { cpu = 256, memory = 512, count = 1 }
  consumer   = { cpu = 512, memory = 1024, count = 1 }
}
consumers = { most = 2, on_spot = true }

databases = {
  risk = { instance_class = "db.t4g.small", storage_gb = 20, max_storage_gb = 40, max_connections = 100, multi_az = false, performance_insights = false }
  debt = { instance_class = "db.t4g.small", storage_gb = 20, max_storage_gb = 40, max_connections = 100, multi_az = false, performance_insights = false }
}
backup_days = 1
protected   = false
log_days    = 30

emails      = ["alarms@example.com"]
monthly_usd = 300
