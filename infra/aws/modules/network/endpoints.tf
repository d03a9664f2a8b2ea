# What may pass through each endpoint: calls by principals of this account, to what belongs to this installation. So a task
# that is taken over cannot carry data to a queue, a log or a registry of another account with credentials of that account.

locals {
  here = "${var.region}:${var.account_id}"
  pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

  passing = {
    sqs = [{
      actions = [
        "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage",
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
      ]
      resources = ["arn:${var.partition}:sqs:${local.here}:${var.name}-*"]
    }]
    secretsmanager = [{
      actions = ["secretsmanager:GetSecretValue"]
      # The second are the masters' passwords, which RDS itself names.
      resources = [
        "arn:${var.partition}:secretsmanager:${local.here}:secret:${var.name}/*",
        "arn:${var.partition}:secretsmanager:${local.here}:secret:rds!db-*",
      ]
    }]
    logs = [{
      actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["arn:${var.partition}:logs:${local.here}:log-group:/${var.name}/*"]
    }]
    "ecr.api" = [
      { actions = ["ecr:GetAuthorizationToken"], resources = ["*"] }, # it knows no resource
      { actions = local.pull, resources = ["arn:${var.partition}:ecr:${local.here}:repository/${var.name}"] },
    ]
    "ecr.dkr" = [
      { actions = local.pull, resources = ["arn:${var.partition}:ecr:${local.here}:repository/${var.name}"] },
    ]
  }

  endpoint_policies = { for endpoint, statements in local.passing : endpoint => jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in statements : {
      Effect    = "Allow"
      Principal = "*"
      Action    = statement.actions
      Resource  = statement.resources
      Condition = { StringEquals = { "aws:PrincipalAccount" = var.account_id } }
    }]
  }) }

  # ECR keeps layers in a bucket of its own and hands out signed addresses, so the caller is no principal of ours.
  layers_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:GetObject"]
      Resource  = ["arn:${var.partition}:s3:::prod-${var.region}-starport-layer-bucket/*"]
    }]
  })
}
