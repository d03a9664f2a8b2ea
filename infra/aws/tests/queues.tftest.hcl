# The queues, against a mocked AWS.

mock_provider "aws" {}

variables {
  name = "test"
}

run "queues" {
  module {
    source = "./modules/queues"
  }

  assert {
    condition     = toset(keys(output.names)) == toset(["batches-high", "batches-standard", "batch-results", "stops", "batches-high-dlq", "batches-standard-dlq", "batch-results-dlq", "stops-dlq"])
    error_message = "There are two lanes, the results and the stops, each with its dead letters."
  }

  assert {
    condition     = alltrue([for key, name in output.names : !endswith(key, "-dlq") || name == "${output.names[trimsuffix(key, "-dlq")]}-dlq"])
    error_message = "The code finds a dead-letter queue by the ending -dlq."
  }

  assert {
    condition = alltrue([for key, queue in aws_sqs_queue.this : jsondecode(queue.redrive_policy) == {
      deadLetterTargetArn = aws_sqs_queue.dead[key].arn
      maxReceiveCount     = 5
    }])
    error_message = "After five receives a message is a dead letter."
  }

  assert {
    condition = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead)) :
      queue.visibility_timeout_seconds == 60 && queue.receive_wait_time_seconds == 20
      && queue.sqs_managed_sse_enabled
    ])
    error_message = "60 s hidden, long polls, encrypted."
  }

  assert {
    condition = alltrue([for key, queue in merge(aws_sqs_queue.this, { for key, queue in aws_sqs_queue.dead : "${key}-dlq" => queue }) :
      queue.message_retention_seconds == (key == "stops" ? 300 : 14 * 24 * 3600)
    ])
    error_message = "14 days kept, but stops 5 minutes: older ones have been sent again."
  }

  assert {
    condition = length(aws_sqs_queue_policy.tls_only) == 8 && alltrue([for policy in values(aws_sqs_queue_policy.tls_only) :
      jsondecode(policy.policy).Statement[0].Effect == "Deny"
      && jsondecode(policy.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    ])
    error_message = "Every queue refuses calls without TLS."
  }

  assert {
    condition = alltrue([for key, policy in aws_sqs_queue_redrive_allow_policy.dead :
      jsondecode(policy.redrive_allow_policy).sourceQueueArns == [aws_sqs_queue.this[key].arn]
    ])
    error_message = "Dead letters come from the queue's own queue only."
  }
}

run "queues_under_a_key_of_ours" {
  module {
    source = "./modules/queues"
  }

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001"
  }

  assert {
    condition = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead)) :
      queue.kms_master_key_id == var.kms_key_arn && queue.kms_data_key_reuse_period_seconds == 3600
    ])
    error_message = "Every queue is under the key."
  }
}

run "one_receive_is_too_few" {
  command = plan

  module {
    source = "./modules/queues"
  }

  variables {
    max_receives = 1
  }

  expect_failures = [var.max_receives]
}
