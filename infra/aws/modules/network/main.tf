# A VPC in which only the load balancer has a public side. Tasks reach AWS by endpoints; the APIs and the console also the
# issuer, if there is one.

locals {
  zones    = { for index, zone in var.zones : zone => index }
  called   = { for name, process in var.processes : name => process if process.port != null }
  apis     = { for name, process in local.called : name => process if process.service != null }
  workers  = { for name, process in var.processes : name => process if process.service != null }
  consoles = { for name, process in var.processes : name => process if process.service == null }
  services = toset([for process in local.workers : process.service])
  nat      = length(var.issuer_cidrs) > 0 ? local.zones : {}

  calls = { for pair in setproduct(keys(local.consoles), keys(local.apis)) : "${pair[0]} ${pair[1]}" => { console = pair[0], api = pair[1] } }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Without rules: a task without a security group of its own has no network.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_subnet" "public" {
  for_each = local.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 4, each.value)
  tags              = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.cidr, 4, each.value + 8)
  tags              = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = local.zones

  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  for_each = local.zones

  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route_table_association" "private" {
  for_each = local.zones

  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[each.key].id
}

# --- Outwards, to the issuer alone ---

resource "aws_eip" "nat" {
  # checkov:skip=CKV2_AWS_19:It belongs to a NAT gateway, not to a machine.
  for_each = local.nat

  domain = "vpc"
  tags   = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each = local.nat

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route" "issuer" {
  for_each = { for pair in setproduct(var.zones, var.issuer_cidrs) : "${pair[0]} ${pair[1]}" => pair }

  route_table_id         = aws_route_table.private[each.value[0]].id
  destination_cidr_block = each.value[1]
  nat_gateway_id         = aws_nat_gateway.this[each.value[0]].id
}

# --- AWS's own services, without the internet ---

resource "aws_vpc_endpoint" "interface" {
  for_each = local.endpoint_policies

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [for zone in var.zones : aws_subnet.private[zone].id]
  security_group_ids  = concat([aws_security_group.endpoints.id], each.key == "sqs" ? [] : values(aws_security_group.start)[*].id)
  private_dns_enabled = true
  policy              = each.value
  tags                = { Name = "${var.name}-${each.key}" }
}

# The layers of images lie in S3.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for zone in var.zones : aws_route_table.private[zone].id]
  policy            = local.layers_policy
  tags              = { Name = "${var.name}-s3" }
}

# --- Flow logs ---

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/${var.name}/flow"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_iam_role" "flow" {
  name = "${var.name}-flow-log"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  name = "write"
  role = aws_iam_role.flow.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.flow.arn}:*"
    }]
  })
}

resource "aws_flow_log" "this" {
  vpc_id          = aws_vpc.this.id
  traffic_type    = "REJECT"
  iam_role_arn    = aws_iam_role.flow.arn
  log_destination = aws_cloudwatch_log_group.flow.arn
}
