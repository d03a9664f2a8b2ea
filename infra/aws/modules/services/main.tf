# The processes on Fargate, from one image, and the tasks that prepare and migrate the databases.

resource "aws_ecs_cluster" "this" {
  name = var.name

  # The alarms count running tasks by it.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = toset([for name in keys(local.tasks) : name])

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_ecs_task_definition" "this" {
  # checkov:skip=CKV_AWS_97:No volume here is on EFS.
  for_each = local.tasks

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = each.value.start_role
  task_role_arn            = each.value.role
  container_definitions    = jsonencode([local.containers[each.key]])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  dynamic "volume" {
    for_each = local.writable[each.key]

    content {
      name = volume.key
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

# --- First who receives, then who sends: the others are changed when the new consumers run ---

resource "aws_ecs_service" "consumer" {
  name                  = "consumer"
  cluster               = aws_ecs_cluster.this.id
  task_definition       = aws_ecs_task_definition.this["consumer"].arn
  desired_count         = var.running ? var.sizes["consumer"].count : 0
  platform_version      = "LATEST"
  propagate_tags        = "SERVICE"
  wait_for_steady_state = true

  capacity_provider_strategy {
    capacity_provider = "FARGATE"
    base              = var.sizes["consumer"].count
    weight            = var.consumers_on_spot ? 0 : 1
  }

  dynamic "capacity_provider_strategy" {
    for_each = var.consumers_on_spot ? [1] : []

    content {
      capacity_provider = "FARGATE_SPOT"
      weight            = 1
    }
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [var.process_group_ids["consumer"]]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    # How many there are is up to the scaling.
    ignore_changes = [desired_count]
  }

  depends_on = [aws_ecs_cluster_capacity_providers.this]
}

resource "aws_ecs_service" "this" {
  for_each = local.steady

  name             = each.key
  cluster          = aws_ecs_cluster.this.id
  task_definition  = aws_ecs_task_definition.this[each.key].arn
  desired_count    = var.running ? var.sizes[each.key].count : 0
  launch_type      = "FARGATE"
  platform_version = "LATEST"
  propagate_tags   = "SERVICE"

  # A second dispatcher stands by, so old and new may run side by side.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = each.value.port == null ? null : 60

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [var.process_group_ids[each.key]]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.value.port == null ? [] : [each.value.port]

    content {
      target_group_arn = aws_lb_target_group.api[each.key].arn
      container_name   = each.key
      container_port   = load_balancer.value
    }
  }

  dynamic "service_registries" {
    for_each = { for name, service in aws_service_discovery_service.api : name => service if name == each.key }

    content {
      registry_arn = service_registries.value.arn
    }
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  depends_on = [aws_ecs_service.consumer, aws_lb_listener.https, aws_lb_listener_rule.api]
}
