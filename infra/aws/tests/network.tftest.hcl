# Which traffic is allowed, against a mocked AWS.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name          = "test"
  region        = "us-east-1"
  cidr          = "10.40.0.0/16"
  zones         = ["us-east-1a", "us-east-1b"]
  public        = true
  allowed_cidrs = ["203.0.113.0/24"]
  outbound      = false
  kms_key_arn   = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001"
  log_days      = 365
  processes = {
    risk-api   = { service = "risk", port = 8001 }
    dispatcher = { service = "risk" }
    debt-api   = { service = "debt", port = 8002 }
    consumer   = { service = "debt" }
  }
}

run "network" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.outbound) == 0
    error_message = "There is no way out unless it is asked for."
  }

  assert {
    condition     = toset([for rule in values(aws_vpc_security_group_ingress_rule.https) : rule.cidr_ipv4]) == toset(["203.0.113.0/24"])
    error_message = "Only those who may call get to the load balancer."
  }

  assert {
    condition = alltrue([for process, rule in aws_vpc_security_group_egress_rule.process_to_database :
      rule.referenced_security_group_id == aws_security_group.database[var.processes[process].service].id
    ])
    error_message = "A process reaches its own database only."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["sqs", "ecr.api", "ecr.dkr", "logs", "secretsmanager"])
    error_message = "Tasks reach what they need of AWS."
  }
}

run "a_way_to_the_issuer" {
  module {
    source = "./modules/network"
  }

  variables {
    outbound = true
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.api_outbound)) == toset(["risk-api", "debt-api"])
    error_message = "Only the APIs have a way outside, never the loops."
  }
}
