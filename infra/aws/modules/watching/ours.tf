# Alarms on what the processes themselves count (namespace SmartRecover; each process writes it into its log every minute).

locals {
  dimensions = {
    risk-api   = { Service = "risk_assessment", Process = "serve" }
    dispatcher = { Service = "risk_assessment", Process = "dispatch" }
    debt-api   = { Service = "debt_processing", Process = "serve" }
    consumer   = { Service = "debt_processing", Process = "consume" }
  }

  ours = merge({
    dispatcher-gone = {
      slug      = "dispatcher-gone"
      says      = "No dispatcher holds the lease: runs are accepted and not carried out."
      below     = true
      threshold = 1
      times     = 5
      missing   = true
      metrics   = { a = { by = "dispatcher", metric = "risk_lease_held", labels = {}, stat = "Maximum" } }
    }

    batches-given-up = {
      slug      = "batches-dead"
      says      = "Batches ended dead; their debtors have no decision."
      threshold = 0
      metrics   = { a = { by = "dispatcher", metric = "risk_batches_total", labels = { outcome = "dead" }, stat = "Sum" } }
    }

    runs-stalled = {
      slug      = "runs-stalled"
      says      = "A batch was sent long ago and is not reported: its run does not end."
      threshold = var.limits.run_stalled_seconds
      times     = 5
      metrics   = { a = { by = "dispatcher", metric = "risk_oldest_outstanding_seconds", labels = {}, stat = "Maximum" } }
    }

    # A query and not a metric: it adds up every reason, those of later versions too.
    reports-refused = {
      slug       = "reports-refused"
      says       = "A report on the results queue does not fit what was sent, and is not believed."
      threshold  = 0
      seconds    = 900
      expression = "SELECT SUM(risk_reports_refused_total) FROM SmartRecover"
      metrics    = {}
    }

    stops-too-old = {
      slug      = "stops-too-old"
      says      = "What is known of holds, payments and deletions is too old: no batch is begun."
      threshold = 30
      times     = 2
      metrics   = { a = { by = "consumer", metric = "debt_stops_lag_seconds", labels = {}, stat = "Maximum" } }
    }

    stops-refused = {
      slug      = "stops-refused"
      says      = "A message in the queue of stops is not ours, and is not believed."
      threshold = 0
      seconds   = 900
      metrics   = { a = { by = "consumer", metric = "debt_stops_refused_total", labels = {}, stat = "Sum" } }
    }

    batches-failing = {
      slug       = "batches-failing"
      says       = "Batches fail while they are worked, and are tried again."
      threshold  = 5
      seconds    = 300
      expression = "FILL(a, 0) + FILL(b, 0)"
      metrics = {
        a = { by = "consumer", metric = "debt_batches_total", labels = { outcome = "failed", lane = "high" }, stat = "Sum" }
        b = { by = "consumer", metric = "debt_batches_total", labels = { outcome = "failed", lane = "standard" }, stat = "Sum" }
      }
    }

    debtors-failing = {
      slug       = "debtors-failing"
      says       = "Many debtors cannot be worked: an error is recorded instead of a decision."
      threshold  = var.limits.debtors_failing
      seconds    = 900
      expression = "FILL(a, 0) + FILL(b, 0) + FILL(c, 0)"
      metrics = {
        a = { by = "consumer", metric = "debt_errors_total", labels = { stage = "read" }, stat = "Sum" }
        b = { by = "consumer", metric = "debt_errors_total", labels = { stage = "score" }, stat = "Sum" }
        c = { by = "consumer", metric = "debt_errors_total", labels = { stage = "decide" }, stat = "Sum" }
      }
    }

    scores-differ = {
      slug      = "scores-differ"
      says      = "The consumer finds other scores than the messages say: the services do not run the same code."
      threshold = 0
      seconds   = 300
      metrics   = { a = { by = "consumer", metric = "debt_score_mismatches_total", labels = {}, stat = "Sum" } }
    }

    batches-slow = {
      slug      = "batches-slow"
      says      = "Batches take long: the database is slow, or there is too much in a batch."
      threshold = var.limits.batch_seconds
      times     = 10
      metrics   = { a = { by = "consumer", metric = "debt_batch_seconds", labels = {}, stat = "p95" } }
    }

    batches-redelivered = {
      slug       = "batches-redelivered"
      says       = "Many messages come again: consumers die, or do not finish within the visibility timeout."
      threshold  = 50
      seconds    = 900
      expression = "FILL(a, 0) + FILL(b, 0)"
      metrics = {
        a = { by = "consumer", metric = "debt_redeliveries_total", labels = { lane = "high" }, stat = "Sum" }
        b = { by = "consumer", metric = "debt_redeliveries_total", labels = { lane = "standard" }, stat = "Sum" }
      }
    }

    leases-lost = {
      slug      = "leases-lost"
      says      = "Messages came free for others while a consumer held them: its heartbeat does not get through."
      threshold = 5
      seconds   = 900
      metrics   = { a = { by = "consumer", metric = "debt_leases_lost_total", labels = {}, stat = "Sum" } }
    }

    dependency-unsteady-dispatcher = {
      slug       = "dependency-unsteady"
      says       = "The dispatcher loses its database or the queues again and again."
      threshold  = 3
      seconds    = 900
      expression = "FILL(a, 0) + FILL(b, 0)"
      metrics = {
        a = { by = "dispatcher", metric = "risk_outages_total", labels = { what = "database" }, stat = "Sum" }
        b = { by = "dispatcher", metric = "risk_outages_total", labels = { what = "queues" }, stat = "Sum" }
      }
    }

    dependency-unsteady-consumer = {
      slug       = "dependency-unsteady"
      says       = "The consumer loses its database or the queues again and again."
      threshold  = 3
      seconds    = 900
      expression = "FILL(a, 0) + FILL(b, 0)"
      metrics = {
        a = { by = "consumer", metric = "debt_outages_total", labels = { what = "database" }, stat = "Sum" }
        b = { by = "consumer", metric = "debt_outages_total", labels = { what = "queues" }, stat = "Sum" }
      }
    }
    }, {
    for process in keys(local.dimensions) : "pool-exhausted-${process}" => {
      slug      = "pool-exhausted"
      says      = "${process}: nearly every connection to the database is taken, and others wait."
      threshold = var.limits.pool_connections - 1
      times     = 5
      metrics   = { a = { by = process, metric = "recovery_pool_connections", labels = { state = "in_use" }, stat = "Maximum" } }
    }
  })
}
