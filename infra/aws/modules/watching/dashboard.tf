# One page, from what users feel down to what the machines feel.

locals {
  width  = 8
  height = 6

  lane_queues = { for key, name in var.queues : key => name if !endswith(key, "-dlq") }

  # SEARCH finds every combination of labels that was published.
  search = "SEARCH('{SmartRecover,Service,Process%s} MetricName=\"%s\"', '%s', 60)"

  charts = [
    { title = "Calls and errors", series = concat(
      [for api, target in var.balancer.targets : ["AWS/ApplicationELB", "RequestCount", "TargetGroup", target, "LoadBalancer", var.balancer.metric, { stat = "Sum", label = "${api} calls" }]],
      [for api, target in var.balancer.targets : ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "TargetGroup", target, "LoadBalancer", var.balancer.metric, { stat = "Sum", label = "${api} 5xx" }]],
    ) },
    { title = "Time to answer, p99", series = [
      for api, target in var.balancer.targets : ["AWS/ApplicationELB", "TargetResponseTime", "TargetGroup", target, "LoadBalancer", var.balancer.metric, { stat = "p99", label = api }]
    ] },
    { title = "Tasks running", series = [
      for process, service in var.services : ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.cluster, "ServiceName", service, { stat = "Average", label = process }]
    ] },

    { title = "Runs", series = [[{ expression = format(local.search, ",stage", "risk_runs_total", "Sum"), id = "runs" }]] },
    { title = "Batches sent and ended, reports refused", series = [
      [{ expression = format(local.search, ",outcome,lane", "risk_batches_total", "Sum"), id = "sent" }],
      [{ expression = format(local.search, ",outcome", "risk_batches_total", "Sum"), id = "ended" }],
      [{ expression = format(local.search, ",reason", "risk_reports_refused_total", "Sum"), id = "refused" }],
    ] },
    { title = "Batches outstanding, age of the oldest", series = [
      [{ expression = format(local.search, "", "risk_batches_outstanding", "Maximum"), id = "outstanding" }],
      [{ expression = format(local.search, "", "risk_oldest_outstanding_seconds", "Maximum"), id = "oldest", yAxis = "right" }],
    ] },

    { title = "Batches worked", series = [[{ expression = format(local.search, ",outcome,lane", "debt_batches_total", "Sum"), id = "worked" }]] },
    { title = "Decisions by action and level", series = [[{ expression = format(local.search, ",action,level", "debt_decisions_total", "Sum"), id = "decisions" }]] },
    { title = "Debtors not worked, scores that differ", series = [
      [{ expression = format(local.search, ",stage", "debt_errors_total", "Sum"), id = "errors" }],
      [{ expression = format(local.search, "", "debt_score_mismatches_total", "Sum"), id = "mismatches" }],
    ] },

    { title = "Seconds a batch, p95", series = [[{ expression = format(local.search, "", "debt_batch_seconds", "p95"), id = "seconds" }]] },
    { title = "Seconds waited in the queue, p95", series = [[{ expression = format(local.search, ",lane", "debt_message_wait_seconds", "p95"), id = "waited" }]] },
    { title = "Redelivered, leases lost, outages", series = [
      [{ expression = format(local.search, ",lane", "debt_redeliveries_total", "Sum"), id = "redelivered" }],
      [{ expression = format(local.search, "", "debt_leases_lost_total", "Sum"), id = "lost" }],
      [{ expression = format(local.search, ",what", "debt_outages_total", "Sum"), id = "debtaway" }],
      [{ expression = format(local.search, ",what", "risk_outages_total", "Sum"), id = "riskaway" }],
    ] },

    { title = "Stops: age of what is known, not acknowledged", series = [
      [{ expression = format(local.search, "", "debt_stops_lag_seconds", "Maximum"), id = "stopslag" }],
      [{ expression = format(local.search, "", "risk_stops_pending", "Maximum"), id = "stopspending", yAxis = "right" }],
    ] },

    { title = "Messages waiting", series = [
      for key, queue in local.lane_queues : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { stat = "Maximum", label = key }]
    ] },
    { title = "Age of the oldest message", series = [
      for key, queue in local.lane_queues : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, { stat = "Maximum", label = key }]
    ] },
    { title = "Dead letters", series = [
      for key, queue in local.dead_letter_queues : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { stat = "Maximum", label = key }]
    ] },

    { title = "Databases: processor", series = [
      for service, database in var.databases : ["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", database.id, { stat = "Average", label = service }]
    ] },
    { title = "Databases: connections, and pools in use", series = concat(
      [for service, database in var.databases : ["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", database.id, { stat = "Maximum", label = service }]],
      [[{ expression = format(local.search, ",state", "recovery_pool_connections", "Maximum"), id = "pools", yAxis = "right" }]],
    ) },
    { title = "Databases: free bytes", series = [
      for service, database in var.databases : ["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", database.id, { stat = "Minimum", label = service }]
    ] },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for index, chart in local.charts : {
      type   = "metric"
      x      = index % 3 * local.width
      y      = floor(index / 3) * local.height
      width  = local.width
      height = local.height
      properties = {
        title   = chart.title
        region  = var.region
        view    = "timeSeries"
        period  = 60
        metrics = chart.series
      }
    }]
  })
}
