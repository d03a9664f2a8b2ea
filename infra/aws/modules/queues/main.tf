# Two lanes of batches, one queue of results and one of stops, each with a dead-letter queue. The code finds the latter by its ending.

locals {
  queues            = toset(["batches-high", "batches-standard", "batch-results", "stops"])
  retention_seconds = 1209600 # 14 days, SQS's longest
  stops_seconds     = 300     # what waits longer has been sent again
  own_encryption    = var.kms_key_arn == null ? true : null
  key_reuse_seconds = var.kms_key_arn == null ? null : 3600
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                              = "${var.name}-${each.key}"
  visibility_timeout_seconds        = var.visibility_seconds
  message_retention_seconds         = each.key == "stops" ? local.stops_seconds : local.retention_seconds
  receive_wait_time_seconds         = 20
  sqs_managed_sse_enabled           = local.own_encryption
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.key_reuse_seconds

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn
    maxReceiveCount     = var.max_receives
  })
}

# A message that the queue itself moves keeps its age; a copy that the consumer sends begins at zero.
resource "aws_sqs_queue" "dead" {
  for_each = local.queues

  name                              = "${var.name}-${each.key}-dlq"
  visibility_timeout_seconds        = var.visibility_seconds
  message_retention_seconds         = local.retention_seconds
  receive_wait_time_seconds         = 20
  sqs_managed_sse_enabled           = local.own_encryption
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = local.key_reuse_seconds
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each = var.restrict_redrive ? local.queues : toset([])

  queue_url = aws_sqs_queue.dead[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.key].arn]
  })
}

locals {
  every_queue = merge(
    { for key, queue in aws_sqs_queue.this : key => queue },
    { for key, queue in aws_sqs_queue.dead : "${key}-dlq" => queue },
  )
}

resource "aws_sqs_queue_policy" "tls_only" {
  for_each = toset(concat(tolist(local.queues), [for key in local.queues : "${key}-dlq"]))

  queue_url = local.every_queue[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DenyWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = local.every_queue[each.key].arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
