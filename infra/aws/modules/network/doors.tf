# Which traffic is allowed: a group for the load balancer, each process, each database and the endpoints.

resource "aws_security_group" "balancer" {
  # checkov:skip=CKV2_AWS_5:The services module attaches it.
  name        = "${var.name}-balancer"
  description = "Callers of the APIs"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "process" {
  # checkov:skip=CKV2_AWS_5:The services module attaches it.
  for_each = var.processes

  name        = "${var.name}-${each.key}"
  description = "Tasks of ${each.key}"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "database" {
  # checkov:skip=CKV2_AWS_5:The database module attaches it.
  for_each = local.services

  name        = "${var.name}-${each.key}-database"
  description = "The database of the ${each.key} service"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "The ways to SQS, ECR, CloudWatch Logs and Secrets Manager"
  vpc_id      = aws_vpc.this.id
}

# The console uses no queue, so the endpoint of SQS is not in this group.
resource "aws_security_group" "start" {
  for_each = local.consoles

  name        = "${var.name}-${each.key}-start"
  description = "The ways to ECR, CloudWatch Logs and Secrets Manager for ${each.key}"
  vpc_id      = aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each = toset(var.allowed_cidrs)

  security_group_id = aws_security_group.balancer.id
  description       = "Callers"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "http" {
  # checkov:skip=CKV_AWS_260:Port 80 only sends callers on to https, and only those of allowed_cidrs.
  for_each = toset(var.allowed_cidrs)

  security_group_id = aws_security_group.balancer.id
  description       = "Callers, who are sent on to https"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
}

resource "aws_vpc_security_group_egress_rule" "balancer_to_api" {
  for_each = local.called

  security_group_id            = aws_security_group.balancer.id
  description                  = "To ${each.key}"
  referenced_security_group_id = aws_security_group.process[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "api_from_balancer" {
  for_each = local.called

  security_group_id            = aws_security_group.process[each.key].id
  description                  = "From the load balancer"
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "process_to_database" {
  for_each = local.workers

  security_group_id            = aws_security_group.process[each.key].id
  description                  = "To its own database"
  referenced_security_group_id = aws_security_group.database[each.value.service].id
  ip_protocol                  = "tcp"
  from_port                    = 3306
  to_port                      = 3306
}

resource "aws_vpc_security_group_ingress_rule" "database_from_process" {
  for_each = local.workers

  security_group_id            = aws_security_group.database[each.value.service].id
  description                  = "From ${each.key}"
  referenced_security_group_id = aws_security_group.process[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = 3306
  to_port                      = 3306
}

resource "aws_vpc_security_group_egress_rule" "process_to_endpoints" {
  for_each = local.workers

  security_group_id            = aws_security_group.process[each.key].id
  description                  = "To AWS by the endpoints"
  referenced_security_group_id = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_from_process" {
  for_each = local.workers

  security_group_id            = aws_security_group.endpoints.id
  description                  = "From ${each.key}"
  referenced_security_group_id = aws_security_group.process[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "console_to_start" {
  for_each = local.consoles

  security_group_id            = aws_security_group.process[each.key].id
  description                  = "To AWS by the endpoints, but that of SQS"
  referenced_security_group_id = aws_security_group.start[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_ingress_rule" "start_from_console" {
  for_each = local.consoles

  security_group_id            = aws_security_group.start[each.key].id
  description                  = "From ${each.key}"
  referenced_security_group_id = aws_security_group.process[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "console_to_api" {
  for_each = local.calls

  security_group_id            = aws_security_group.process[each.value.console].id
  description                  = "To ${each.value.api}"
  referenced_security_group_id = aws_security_group.process[each.value.api].id
  ip_protocol                  = "tcp"
  from_port                    = local.apis[each.value.api].port
  to_port                      = local.apis[each.value.api].port
}

resource "aws_vpc_security_group_ingress_rule" "api_from_console" {
  for_each = local.calls

  security_group_id            = aws_security_group.process[each.value.api].id
  description                  = "From ${each.value.console}"
  referenced_security_group_id = aws_security_group.process[each.value.console].id
  ip_protocol                  = "tcp"
  from_port                    = local.apis[each.value.api].port
  to_port                      = local.apis[each.value.api].port
}

resource "aws_vpc_security_group_egress_rule" "process_to_s3" {
  for_each = var.processes

  security_group_id = aws_security_group.process[each.key].id
  description       = "To the layers of images"
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "api_to_issuer" {
  for_each = { for pair in setproduct(keys(local.called), var.issuer_cidrs) : "${pair[0]} ${pair[1]}" => pair }

  security_group_id = aws_security_group.process[each.value[0]].id
  description       = "To the issuer of tokens"
  cidr_ipv4         = each.value[1]
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
