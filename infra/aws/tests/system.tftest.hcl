# The whole, as production.tfvars or trial.tfvars has it, against a mocked AWS.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "system" {
  assert {
    condition = alltrue([for container in values(output.containers) :
      container.readonlyRootFilesystem && !container.privileged && container.user == "10001:10001"
      && contains(container.linuxParameters.capabilities.drop, "ALL")
    ])
    error_message = "A container is not locked down."
  }

  assert {
    condition     = alltrue([for container in values(output.containers) : container.stopTimeout == 30])
    error_message = "A process needs 20 s to stop and is given 30."
  }

  assert {
    condition = alltrue([for container in values(output.containers) :
      alltrue([for variable in container.environment : !can(regex("DATABASE_URL|PASSWORD|KEYS|SECRET", variable.name))])
    ])
    error_message = "A secret stands in plain text."
  }

  assert {
    condition = alltrue([for name in ["risk-api", "debt-api"] : contains([for variable in output.containers[name].environment :
      "${variable.name}=${variable.value}"
    ], "RECOVERY_AUTH=${var.auth.mode}")])
    error_message = "An API does not ask who the caller is."
  }

  assert {
    condition = alltrue(flatten([for statements in values(output.policies) : [for statement in statements : [
      for action in statement.Action : !strcontains(action, "*") && !contains(["sqs:PurgeQueue", "sqs:CreateQueue", "sqs:DeleteQueue"], action)
    ]]]))
    error_message = "A process may do more than its code does."
  }

  assert {
    condition = alltrue([for process in ["risk-api", "dispatcher", "debt-api", "consumer"] : contains(
      [for secret in output.containers[process].secrets : secret.name], "RECOVERY_MESSAGE_KEYS"
    )])
    error_message = "A process has no keys for its messages."
  }

  assert {
    condition     = alltrue([for container in values(output.containers) : can(regex("@sha256:[0-9a-f]{64}$", container.image))])
    error_message = "An image is named by a tag, which can be moved to another one."
  }

  assert {
    condition     = alltrue([for statement in output.policies["risk-api"] : !contains(statement.Action, "sqs:SendMessage")])
    error_message = "The risk API sends nothing."
  }

  assert {
    condition     = alltrue([for alarm in values(output.alarms) : (length(alarm.metrics) > 0 || alarm.expression != null) && length(alarm.says) > 20])
    error_message = "An alarm must look at something and say what is wrong."
  }

  assert {
    condition = (
      strcontains(output.alarms["reports-refused"].expression, "risk_reports_refused_total")
      && output.alarms["dead-letters-batch-results-dlq"].slug == "reports-refused"
      && output.alarms["dead-letters-stops-dlq"].slug == "stops-refused"
      && output.alarms["dead-letters-batches-high-dlq"].slug == "batches-dead"
    )
    error_message = "A report that is not believed goes unnoticed."
  }

  assert {
    condition     = alltrue([for urls in values(output.database_urls) : strcontains(urls.after, "?ssl_ca=/")])
    error_message = "A service would talk to its database without knowing who that is."
  }
}
