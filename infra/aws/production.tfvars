# About a million debtors a run. Replace image, domain, certificate, issuer, ranges and addresses with your own.
environment = "production"
region      = "us-east-1"
zones       = ["us-east-1a", "us-east-1b", "us-east-1c"]

image_digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

domain          = "recovery.example.com"
certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
public          = false
allowed_cidrs   = ["10.0.0.0/8"]
auth = {
  mode              = "oidc"
  oidc_issuer       = "https://login.example.com/realms/recovery"
  oidc_audience     = "smartrecover"
  oidc_issuer_cidrs = ["198.51.100.0/24"]
  rate_limit        = 600
}
console = { count = 2, oidc_client_id = "smartrecover-console", oidc_client_secret = true }

sizes = {
  risk-api   = { cpu = 1024, memory = 2048, count = 2 }
  dispatcher = { cpu = 1024, memory = 2048, count = 2 } # one works, one stands by
  debt-api   = { cpu = 1024, memory = 2048, count = 2 }
  consumer   = { cpu = 1024, memory = 2048, count = 2 }
}
consumers = { most = 10 }

databases = {
  risk = { instance_class = "db.m7g.large", storage_gb = 100, max_storage_gb = 1000, max_connections = 400, multi_az = true, performance_insights = true }
  debt = { instance_class = "db.m7g.xlarge", storage_gb = 200, max_storage_gb = 2000, max_connections = 600, multi_az = true, performance_insights = true }
}

emails      = ["recovery-on-call@example.com"]
monthly_usd = 2500
