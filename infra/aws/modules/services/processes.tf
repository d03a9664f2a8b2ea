# What runs, and with which settings. Every variable is one of the services' Settings, but for FORWARDED_ALLOW_IPS (read by
# uvicorn), TMPDIR (by Python) and the MASTER_… of the task `prepare`.

locals {
  queues = {
    AWS_REGION                  = var.region
    RECOVERY_QUEUE_HIGH         = var.queues.names["batches-high"]
    RECOVERY_QUEUE_STANDARD     = var.queues.names["batches-standard"]
    RECOVERY_QUEUE_RESULTS      = var.queues.names["batch-results"]
    RECOVERY_QUEUE_STOPS        = var.queues.names["stops"]
    RECOVERY_VISIBILITY_SECONDS = var.queues.visibility_seconds
    RECOVERY_MAX_RECEIVES       = var.queues.max_receives
    RECOVERY_UNSIGNED_UNTIL     = var.unsigned_until
    RECOVERY_LOG_LEVEL          = var.tuning.log_level
    RECOVERY_EMF_SECONDS        = var.tuning.emf_seconds
  }

  door = {
    RECOVERY_AUTH                 = var.auth.mode
    RECOVERY_OIDC_ISSUER          = var.auth.oidc_issuer
    RECOVERY_OIDC_AUDIENCE        = var.auth.oidc_audience
    RECOVERY_OIDC_ROLE_CLAIM      = var.auth.role_claim
    RECOVERY_OIDC_PORTFOLIO_CLAIM = var.auth.portfolio_claim
    RECOVERY_OIDC_CLIENTS         = var.auth.clients
    RECOVERY_OIDC_TOKEN_TYPE      = var.auth.token_type
    RECOVERY_OIDC_MAX_AGE_SECONDS = var.auth.max_age_seconds
    RECOVERY_CORS_ORIGINS         = var.auth.cors_origins
    # /docs and /openapi.json are outside the paths that the load balancer passes on.
    RECOVERY_DOCS = false
    # Only the load balancer reaches these ports.
    FORWARDED_ALLOW_IPS = join(",", var.balancer.cidrs)
  }

  # Every process of a service has its database and its messages; the console has neither.
  process_secrets = { for service in local.services : service => [
    { name = "${upper(service)}_DATABASE_URL", valueFrom = var.secrets.database_urls[service] },
    { name = "RECOVERY_MESSAGE_KEYS", valueFrom = var.secrets.message_keys },
  ] }

  metrics_port = 9101 # for the health check alone: CloudWatch gets its metrics from the log

  processes = merge(local.console, {
    risk-api = {
      service = "risk"
      secrets = local.process_secrets.risk
      command = ["risk-assessment", "serve"]
      port    = 8001
      health  = ["8001", "/healthz"]
      environment = merge(local.queues, local.door, {
        RISK_HOST       = "0.0.0.0"
        RISK_PORT       = 8001
        RISK_RATE_LIMIT = var.auth.rate_limit
      })
    }
    dispatcher = {
      service = "risk"
      secrets = local.process_secrets.risk
      command = ["risk-assessment", "dispatch"]
      port    = null
      health  = [tostring(local.metrics_port), "/metrics"]
      environment = merge(local.queues, {
        RISK_METRICS_PORT         = local.metrics_port
        RISK_MAX_OUTSTANDING      = var.tuning.max_outstanding
        RISK_RESEND_AFTER_SECONDS = var.tuning.resend_after_seconds
        TMPDIR                    = local.paths.spill
      })
    }
    debt-api = {
      service = "debt"
      secrets = local.process_secrets.debt
      command = ["debt-processing", "serve"]
      port    = 8002
      health  = ["8002", "/healthz"]
      environment = merge(local.queues, local.door, {
        DEBT_HOST       = "0.0.0.0"
        DEBT_PORT       = 8002
        DEBT_RATE_LIMIT = var.auth.rate_limit
      })
    }
    consumer = {
      service = "debt"
      secrets = local.process_secrets.debt
      command = ["debt-processing", "consume"]
      port    = null
      health  = [tostring(local.metrics_port), "/metrics"]
      environment = merge(local.queues, {
        DEBT_METRICS_PORT = local.metrics_port
        DEBT_PREFETCH     = var.tuning.prefetch
        DEBT_WORKERS      = var.tuning.workers
      })
    }
  })

  steady = { for name, process in local.processes : name => process if name != "consumer" }
  paths  = { tmp = "/tmp", spill = "/var/lib/smartrecover/spill" }

  # One-off tasks, started by hand: see README.md.
  services = toset(["risk", "debt"])
  commands = { risk = "risk-assessment", debt = "debt-processing" }
  jobs = merge(
    { for service in local.services : "migrate-${service}" => {
      service = service
      # As the owner of the tables, who lets the account of the processes use them.
      command     = [local.commands[service], "migrate", "--grant-to", service]
      start       = "migrate-${service}"
      secrets     = { "${upper(service)}_DATABASE_URL" = var.secrets.owner_urls[service] }
      environment = { RECOVERY_LOG_LEVEL = var.tuning.log_level }
    } },
    { for service in local.services : "prepare-${service}" => {
      service     = service
      command     = ["python", "-c", file("${path.module}/prepare_database.py"), "${upper(service)}_DATABASE_URL"]
      start       = "prepare-${service}"
      environment = {}
      secrets = {
        "${upper(service)}_DATABASE_URL" = var.secrets.database_urls[service]
        OWNER_DATABASE_URL               = var.secrets.owner_urls[service]

        MASTER_USERNAME = "${var.secrets.masters[service]}:username::"
        MASTER_PASSWORD = "${var.secrets.masters[service]}:password::"
      }
    } },
  )

  tasks = merge(
    { for name, process in local.processes : name => {
      cpu        = var.sizes[name].cpu
      memory     = var.sizes[name].memory
      start_role = var.roles.start[process.service == null ? name : process.service]
      role       = lookup(var.roles.process, name, null) # without one it calls nothing of AWS
    } },
    { for name, job in local.jobs : name => {
      cpu        = 256
      memory     = 512
      start_role = var.roles.start[job.start]
      role       = null # it calls nothing of AWS
    } },
  )

  # The root file system is read-only. A volume has the owner that the image gives it: see image/Dockerfile.
  writable = { for name in keys(local.tasks) : name => {
    for volume, path in local.paths : volume => path if volume == "tmp" || name == "dispatcher"
  } }

  common = { for name in keys(local.tasks) : name => {
    name                   = name
    image                  = var.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    privileged             = false
    # An API finishes its requests and a loop its batch within 20 s.
    stopTimeout     = 30
    linuxParameters = { initProcessEnabled = true, capabilities = { add = [], drop = ["ALL"] } }
    mountPoints = [for volume, path in local.writable[name] : {
      sourceVolume = volume, containerPath = path, readOnly = false
    }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this[name].name
        awslogs-region        = var.region
        awslogs-stream-prefix = name
        # A log that cannot be delivered must not hold up the work.
        mode            = "non-blocking"
        max-buffer-size = "4m"
      }
    }
  } }

  containers = merge(
    { for name, process in local.processes : name => merge(local.common[name], {
      command      = process.command
      environment  = [for key, value in process.environment : { name = key, value = tostring(value) } if value != null]
      secrets      = process.secrets
      portMappings = process.port == null ? [] : [{ containerPort = process.port, hostPort = process.port, protocol = "tcp" }]
      # Alive or not. Whether it is ready is asked by the load balancer: a task is not the better for being
      # restarted while its database is away.
      healthCheck = {
        command     = concat(["CMD", "healthcheck"], process.health)
        interval    = 15
        timeout     = 6
        retries     = 4
        startPeriod = 60
      }
    }) },
    { for name, job in local.jobs : name => merge(local.common[name], {
      command     = job.command
      environment = [for key, value in job.environment : { name = key, value = tostring(value) }]
      secrets     = [for key, value in job.secrets : { name = key, valueFrom = value }]
    }) },
  )
}
