# Who may do what. A process has a role of its own with the SQS calls that its code makes, and no others; ECS starts it under a
# second role that fetches the image and its secrets. No role may create, change or purge a queue.

locals {
  lanes = ["batches-high", "batches-standard"]
  dead  = [for lane in local.lanes : "${lane}-dlq"]

  # Every call first looks up the queue's URL by its name; the depths shown are its attributes. Readiness asks only for what a
  # process does anyway: the risk API, which neither sends nor receives, for the URLs alone.
  look = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
  find = ["sqs:GetQueueUrl"]
  take = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
  hide = ["sqs:ChangeMessageVisibility"]
  send = ["sqs:SendMessage"]

  calls = {
    risk-api = [
      { queues = concat(local.lanes, ["batch-results"]), actions = local.look },
    ]
    dispatcher = [
      { queues = local.lanes, actions = concat(local.find, local.send) },
      { queues = ["stops"], actions = concat(local.find, local.send) },
      { queues = ["batch-results"], actions = concat(local.find, local.take) },
      { queues = ["batch-results-dlq"], actions = concat(local.find, local.send) }, # copies of reports that it refuses
    ]
    debt-api = [
      { queues = ["batch-results"], actions = local.look },
      { queues = local.lanes, actions = concat(local.look, local.send) },            # redrive sends back …
      { queues = local.dead, actions = concat(local.look, local.take, local.hide) }, # … what it takes from here
    ]
    consumer = [
      { queues = local.lanes, actions = concat(local.look, local.take, local.hide) },
      { queues = local.dead, actions = concat(local.look, local.send) },
      { queues = ["batch-results"], actions = concat(local.look, local.send) },
      { queues = ["stops"], actions = concat(local.find, local.take) },
      { queues = ["stops-dlq"], actions = concat(local.find, local.send) }, # copies of what it does not believe
    ]
  }

  # Sending under a key of ours needs a data key, and taking needs it decrypted.
  key_actions = {
    for process, calls in local.calls : process => concat(
      ["kms:Decrypt"],
      anytrue([for call in calls : contains(call.actions, "sqs:SendMessage")]) ? ["kms:GenerateDataKey"] : [],
    )
  }
  uses_key = { for process in keys(local.calls) : process => var.queue_key_arn != null && process != "risk-api" }

  started_by_ecs = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${var.partition}:ecs:${var.region}:${var.account_id}:*" }
      }
    }]
  })
}

# --- What a process may do itself ---

resource "aws_iam_role" "process" {
  for_each = local.calls

  name               = "${var.name}-${each.key}"
  description        = "What ${each.key} may do"
  assume_role_policy = local.started_by_ecs
}

resource "aws_iam_role_policy" "process" {
  for_each = local.calls

  name = "queues"
  role = aws_iam_role.process[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for call in each.value : {
        Effect   = "Allow"
        Action   = call.actions
        Resource = [for queue in call.queues : var.queue_arns[queue]]
      }],
      local.uses_key[each.key] ? [{
        Effect   = "Allow"
        Action   = local.key_actions[each.key]
        Resource = [var.queue_key_arn]
      }] : [],
    )
  })
}

# --- What ECS may do to start it ---

locals {
  # Only `migrate` acts as the owner of the tables, and only `prepare` reads the master's password.
  secrets = merge(
    { for service, arn in var.database_url_arns : service => [arn, var.message_keys_arn] },
    { for service, arn in var.owner_url_arns : "migrate-${service}" => [arn] },
    { for service, arn in var.database_url_arns :
      "prepare-${service}" => [arn, var.owner_url_arns[service], var.master_secret_arns[service]]
    },
    # The console calls nothing of AWS, so it has no role beside this one.
    length(var.console_arns) == 0 ? {} : { console = values(var.console_arns) },
  )
}

resource "aws_iam_role" "start" {
  for_each = local.secrets

  name               = "${var.name}-start-${each.key}"
  description        = "What ECS needs to start tasks of ${each.key}"
  assume_role_policy = local.started_by_ecs
}

resource "aws_iam_role_policy" "start" {
  # checkov:skip=CKV_AWS_355:A token for the registry (ecr:GetAuthorizationToken) knows no resource.
  for_each = local.secrets

  name = "start"
  role = aws_iam_role.start[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*"
      },
      {
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [var.repository_arn]
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:/${var.name}/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = each.value
      },
      {
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.key_arn]
      },
    ]
  })
}
