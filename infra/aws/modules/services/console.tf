# The console: one more process of the same image, at / of the load balancer. It calls the APIs by names that only the VPC
# knows, since the address of a load balancer on the internet is out of reach from here.

locals {
  namespace = "${var.name}.internal"
  apis      = { for name, target in local.paths_by_api : name => target if var.console != null }

  console = { for name in var.console == null ? [] : ["console"] : name => {
    service = null
    secrets = concat(
      [{ name = "CONSOLE_SESSION_SECRET", valueFrom = var.secrets.console["session"] }],
      [for which, arn in var.secrets.console : { name = "CONSOLE_OIDC_CLIENT_SECRET", valueFrom = arn } if which == "oidc-client"],
    )
    command = ["recovery-console", "serve"]
    port    = 8003
    health  = ["8003", "/healthz"]
    environment = {
      CONSOLE_HOST           = "0.0.0.0"
      CONSOLE_PORT           = 8003
      CONSOLE_PUBLIC_URL     = var.console.url
      CONSOLE_SESSION_HOURS  = var.console.session_hours
      CONSOLE_OIDC_CLIENT_ID = var.console.oidc_client_id
      CONSOLE_OIDC_SCOPE     = var.console.oidc_scope
      CONSOLE_OIDC_SENDS     = var.console.oidc_sends
      RISK_API_URL           = "http://risk-api.${local.namespace}:8001"
      DEBT_API_URL           = "http://debt-api.${local.namespace}:8002"
      RECOVERY_AUTH          = var.auth.mode
      RECOVERY_OIDC_ISSUER   = var.auth.oidc_issuer
      RECOVERY_LOG_LEVEL     = var.tuning.log_level
      RECOVERY_EMF_SECONDS   = var.tuning.emf_seconds
      # Only the load balancer reaches this port.
      FORWARDED_ALLOW_IPS = join(",", var.balancer.cidrs)
    }
  } }

  # What the balancer refuses: /metrics, also with letters of it percent-encoded, which the console would decode.
  metrics_paths = concat(
    ["/metrics", "/metrics/*"],
    [for length in range(7) : "/${substr("metrics", 0, length)}%*"],
  )
  refused = var.console == null ? [] : chunklist(local.metrics_paths, 5) # a rule takes five values
}

resource "aws_lb_listener_rule" "refused" {
  count = length(local.refused)

  listener_arn = aws_lb_listener.https.arn
  priority     = 1 + count.index

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "application/json"
      status_code  = "404"
      message_body = local.not_found
    }
  }

  condition {
    path_pattern {
      values = local.refused[count.index]
    }
  }
}

# --- The names of the APIs ---

resource "aws_service_discovery_private_dns_namespace" "this" {
  count = var.console == null ? 0 : 1

  name        = local.namespace
  description = "Where the console finds the APIs"
  vpc         = var.vpc_id
}

resource "aws_service_discovery_service" "api" {
  for_each = local.apis

  name          = each.key
  force_destroy = true # without the console, its entries are of no use

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.this[0].id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }

  # ECS says which tasks are there.
  health_check_custom_config {
    failure_threshold = 1
  }
}
