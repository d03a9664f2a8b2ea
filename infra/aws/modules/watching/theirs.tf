# Alarms on what AWS counts, and all alarms in one form.

locals {
  dead_letter_queues = { for key, name in var.queues : key => name if endswith(key, "-dlq") }

  ages = {
    batches-high     = var.limits.high_age_seconds
    batches-standard = var.limits.standard_age_seconds
    batch-results    = var.limits.results_age_seconds
  }

  running = { dispatcher = "dispatcher-gone", consumer = "consumers-gone" }

  theirs = merge(
    { for process, slug in local.running : "${process}-tasks" => {
      slug      = slug
      says      = "No task of ${process} runs."
      below     = true
      threshold = 1
      times     = 5
      missing   = true
      metrics = { a = {
        namespace  = "ECS/ContainerInsights", name = "RunningTaskCount", stat = "Minimum"
        dimensions = { ClusterName = var.cluster, ServiceName = var.services[process] }
      } }
    } },

    { for api, target in var.balancer.targets : "api-gone-${api}" => {
      slug      = "api-gone"
      says      = "No task of ${api} is ready: calls are answered with 503, or not at all."
      below     = true
      threshold = 1
      times     = 3
      missing   = true
      metrics = { a = {
        namespace  = "AWS/ApplicationELB", name = "HealthyHostCount", stat = "Maximum"
        dimensions = { LoadBalancer = var.balancer.metric, TargetGroup = target }
      } }
    } },

    { for api, target in var.balancer.targets : "api-errors-${api}" => {
      slug       = "api-errors"
      says       = "${api} answers more than ${var.limits.api_error_percent} % of calls with 5xx."
      threshold  = var.limits.api_error_percent
      seconds    = 300
      expression = "IF(FILL(calls, 0) >= 5, 100 * FILL(errors, 0) / FILL(calls, 1), 0)"
      metrics = {
        for id, name in { calls = "RequestCount", errors = "HTTPCode_Target_5XX_Count" } : id => {
          namespace             = "AWS/ApplicationELB", name = name, stat = "Sum"
          dimensions            = { LoadBalancer = var.balancer.metric, TargetGroup = target }
        }
      }
    } },

    { api-errors-balancer = {
      slug      = "api-errors"
      says      = "The load balancer itself answers with 5xx: it reaches no API."
      threshold = 10
      seconds   = 300
      metrics = { a = {
        namespace  = "AWS/ApplicationELB", name = "HTTPCode_ELB_5XX_Count", stat = "Sum"
        dimensions = { LoadBalancer = var.balancer.metric }
      } }
    } },

    { for api, target in var.balancer.targets : "api-slow-${api}" => {
      slug      = "api-slow"
      says      = "One call in a hundred to ${api} takes more than ${var.limits.api_seconds} s."
      threshold = var.limits.api_seconds
      times     = 10
      metrics = { a = {
        namespace  = "AWS/ApplicationELB", name = "TargetResponseTime", stat = "p99"
        dimensions = { LoadBalancer = var.balancer.metric, TargetGroup = target }
      } }
    } },

    { for key, name in local.dead_letter_queues : "dead-letters-${key}" => {
      # The dispatcher puts copies of reports there, the consumer copies of stops.
      slug      = lookup({ batch-results-dlq = "reports-refused", stops-dlq = "stops-refused" }, key, "batches-dead")
      says      = "There are dead letters in ${name}."
      threshold = 0
      metrics = { a = {
        namespace  = "AWS/SQS", name = "ApproximateNumberOfMessagesVisible", stat = "Maximum"
        dimensions = { QueueName = name }
      } }
    } },

    { for key, seconds in local.ages : "queue-old-${key}" => {
      slug      = "queue-old"
      says      = "Messages in ${var.queues[key]} wait for more than ${seconds} s."
      threshold = seconds
      times     = 5
      metrics = { a = {
        namespace  = "AWS/SQS", name = "ApproximateAgeOfOldestMessage", stat = "Maximum"
        dimensions = { QueueName = var.queues[key] }
      } }
    } },

    { for service, database in var.databases : "database-full-${service}" => {
      slug      = "database-full"
      says      = "Less than ${floor(var.limits.database_free_bytes / 1073741824)} GiB are free in the ${service} database."
      below     = true
      threshold = var.limits.database_free_bytes
      seconds   = 300
      metrics = { a = {
        namespace  = "AWS/RDS", name = "FreeStorageSpace", stat = "Minimum"
        dimensions = { DBInstanceIdentifier = database.id }
      } }
    } },

    { for service, database in var.databases : "database-connections-${service}" => {
      slug      = "pool-exhausted"
      says      = "The ${service} database is near its limit of ${database.max_connections} connections."
      threshold = floor(database.max_connections * var.limits.database_connections_percent / 100)
      times     = 5
      metrics = { a = {
        namespace  = "AWS/RDS", name = "DatabaseConnections", stat = "Maximum"
        dimensions = { DBInstanceIdentifier = database.id }
      } }
    } },

    { for service, database in var.databases : "database-busy-${service}" => {
      slug      = service == "risk" ? "api-slow" : "batches-slow"
      says      = "The processor of the ${service} database is busy."
      threshold = var.limits.database_cpu_percent
      times     = 15
      metrics = { a = {
        namespace  = "AWS/RDS", name = "CPUUtilization", stat = "Average"
        dimensions = { DBInstanceIdentifier = database.id }
      } }
    } },
  )

  ours_in_full = { for key, alarm in local.ours : key => merge(alarm, {
    metrics = { for id, metric in alarm.metrics : id => {
      namespace  = "SmartRecover"
      name       = metric.metric
      stat       = metric.stat
      dimensions = merge(local.dimensions[metric.by], metric.labels)
    } }
  }) }

  alarms = { for key, alarm in merge(local.theirs, local.ours_in_full) : key => {
    slug           = alarm.slug
    says           = alarm.says
    threshold      = alarm.threshold
    below          = try(alarm.below, false)
    missing_is_bad = try(alarm.missing, false)
    seconds        = try(alarm.seconds, 60)
    times          = try(alarm.times, 1)
    expression     = try(alarm.expression, null)
    metrics        = alarm.metrics
  } }
}
