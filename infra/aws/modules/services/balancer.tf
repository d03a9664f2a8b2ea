# One load balancer for both APIs, over TLS. It passes on the services' own paths and nothing else, so /metrics stays inside.
# With the console, all other paths are the console's, but /metrics: see console.tf.

resource "aws_lb" "this" {
  # checkov:skip=CKV_AWS_91:The APIs log each request themselves, with its caller (http.request, audit.read).
  # checkov:skip=CKV_AWS_150:Deletion protection is the setting `protected`; production has it.
  # checkov:skip=CKV2_AWS_28:A firewall is the setting `web_acl_arn`; inside a VPC there is no need of one.
  # checkov:skip=CKV2_AWS_76:The same; and there is no Java here.
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = !var.balancer.public
  subnets                    = var.balancer.subnet_ids
  security_groups            = [var.balancer.group_id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.balancer.protected
  idle_timeout               = 60 # the APIs keep a connection for 75 s
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.balancer.web_acl_arn == null ? 0 : 1

  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.balancer.web_acl_arn
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.balancer.certificate_arn

  default_action {
    type             = var.console == null ? "fixed-response" : "forward"
    target_group_arn = var.console == null ? null : aws_lb_target_group.api["console"].arn

    dynamic "fixed_response" {
      for_each = var.console == null ? [local.not_found] : []

      content {
        content_type = "application/json"
        status_code  = "404"
        message_body = fixed_response.value
      }
    }
  }
}

resource "aws_lb_listener_rule" "api" {
  for_each = local.paths_by_api

  listener_arn = aws_lb_listener.https.arn
  priority     = each.value.priority

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api[each.key].arn
  }

  condition {
    path_pattern {
      values = [each.value.root, "${each.value.root}/*"]
    }
  }
}

resource "aws_lb_target_group" "api" {
  # checkov:skip=CKV_AWS_378:TLS ends at the load balancer; from there on it is our own network.
  for_each = local.targets

  name                 = "${var.name}-${each.value.service}"
  port                 = each.value.port
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = var.vpc_id
  deregistration_delay = 20

  # Ready: database, schema and queues; the console is ready without any of them. A new task is called only when it is. ECS ends a task that is not, so it is given
  # five minutes, in which a database fails over to its standby.
  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 30
    timeout             = 6
    healthy_threshold   = 2
    unhealthy_threshold = 10
  }
}

locals {
  paths_by_api = {
    risk-api = { service = "risk", root = "/risk-service", port = local.processes.risk-api.port, priority = 10 }
    debt-api = { service = "debt", root = "/debt-service", port = local.processes.debt-api.port, priority = 20 }
  }
  targets = merge(
    { for name, api in local.paths_by_api : name => { service = api.service, port = api.port } },
    { for name, process in local.console : name => { service = name, port = process.port } },
  )
  not_found = jsonencode({ type = "about:blank", title = "Not Found", status = 404 })
}
