# Consumers follow the work: as many as the waiting batches of both lanes ask for, and more at once when the oldest waits long.

resource "aws_appautoscaling_target" "consumer" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.consumer.name}"
  min_capacity       = var.running ? var.sizes["consumer"].count : 0
  max_capacity       = var.running ? var.consumers_most : 0
}

locals {
  lanes = { high = var.queues.names["batches-high"], standard = var.queues.names["batches-standard"] }
}

resource "aws_appautoscaling_policy" "backlog" {
  name               = "${var.name}-consumer-backlog"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.consumer.service_namespace
  scalable_dimension = aws_appautoscaling_target.consumer.scalable_dimension
  resource_id        = aws_appautoscaling_target.consumer.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.consumers_backlog
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      dynamic "metrics" {
        for_each = local.lanes

        content {
          id          = metrics.key
          label       = "Waiting, ${metrics.key} lane"
          return_data = false

          metric_stat {
            stat = "Maximum"

            metric {
              namespace   = "AWS/SQS"
              metric_name = "ApproximateNumberOfMessagesVisible"

              dimensions {
                name  = "QueueName"
                value = metrics.value
              }
            }
          }
        }
      }

      metrics {
        id          = "running"
        label       = "Consumers"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.this.name
            }

            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.consumer.name
            }
          }
        }
      }

      # A queue that was not used for six hours has no metrics.
      metrics {
        id          = "backlog"
        label       = "Waiting batches for each consumer"
        expression  = "(FILL(high, 0) + FILL(standard, 0)) / IF(FILL(running, 0) > 1, running, 1)"
        return_data = true
      }
    }
  }
}

resource "aws_appautoscaling_policy" "age" {
  name               = "${var.name}-consumer-age"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.consumer.service_namespace
  scalable_dimension = aws_appautoscaling_target.consumer.scalable_dimension
  resource_id        = aws_appautoscaling_target.consumer.resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 120

    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 2
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "age" {
  alarm_name          = "${var.name}-consumer-scaling-age"
  alarm_description   = "Starts two more consumers; no person is called. docs/operations.md#alarm-queue-old"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.consumers_age_seconds
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.age.arn]

  metric_query {
    id          = "oldest"
    label       = "Age of the oldest batch in both lanes"
    expression  = "MAX([FILL(high, 0), FILL(standard, 0)])"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.lanes

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SQS"
        metric_name = "ApproximateAgeOfOldestMessage"
        stat        = "Maximum"
        period      = 60
        dimensions  = { QueueName = metric_query.value }
      }
    }
  }
}
