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
  issuer_cidrs  = []
  account_id    = "111122223333"
  partition     = "aws"
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
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.issuer) == 0
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

  assert {
    condition = alltrue(flatten([for endpoint in values(aws_vpc_endpoint.interface) : [
      for statement in jsondecode(endpoint.policy).Statement :
      statement.Condition.StringEquals["aws:PrincipalAccount"] == "111122223333"
    ]]))
    error_message = "Credentials of another account pass through an endpoint."
  }

  assert {
    condition = alltrue(flatten([for endpoint in concat(values(aws_vpc_endpoint.interface), [aws_vpc_endpoint.s3]) : [
      for statement in jsondecode(endpoint.policy).Statement : [
        for resource in statement.Resource : strcontains(resource, ":111122223333:") || strcontains(resource, "starport-layer-bucket")
      ] if statement.Action != ["ecr:GetAuthorizationToken"]
    ]]))
    error_message = "An endpoint leads to what belongs to another account."
  }

  assert {
    condition = alltrue(flatten([for endpoint in concat(values(aws_vpc_endpoint.interface), [aws_vpc_endpoint.s3]) : [
      for statement in jsondecode(endpoint.policy).Statement : [for action in statement.Action : !strcontains(action, "*")]
    ]]))
    error_message = "More passes through an endpoint than tasks ask for."
  }
}

run "a_way_to_the_issuer" {
  module {
    source = "./modules/network"
  }

  variables {
    issuer_cidrs = ["198.51.100.0/24", "203.0.113.7/32"]
  }

  assert {
    condition = toset([for rule in values(aws_vpc_security_group_egress_rule.api_to_issuer) : rule.security_group_id]) == toset([
      for api in ["risk-api", "debt-api"] : aws_security_group.process[api].id
    ])
    error_message = "Only the APIs have a way outside, never the loops."
  }

  assert {
    condition = (
      toset([for rule in values(aws_vpc_security_group_egress_rule.api_to_issuer) : rule.cidr_ipv4]) == var.issuer_cidrs
      && toset([for route in values(aws_route.issuer) : route.destination_cidr_block]) == var.issuer_cidrs
    )
    error_message = "The way outside leads to the issuer and no further."
  }
}

run "the_issuer_is_not_everywhere" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    issuer_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.issuer_cidrs]
}

run "the_console_reaches_the_apis_and_neither_a_database_nor_a_queue" {
  module {
    source = "./modules/network"
  }

  variables {
    processes = {
      risk-api   = { service = "risk", port = 8001 }
      dispatcher = { service = "risk" }
      debt-api   = { service = "debt", port = 8002 }
      consumer   = { service = "debt" }
      console    = { port = 8003 }
    }
  }

  assert {
    condition = (
      toset(keys(aws_vpc_security_group_egress_rule.process_to_database)) == toset(["risk-api", "dispatcher", "debt-api", "consumer"])
      && toset(keys(aws_security_group.database)) == toset(["risk", "debt"])
    )
    error_message = "The console has no database."
  }

  assert {
    condition = toset([for endpoint, each in aws_vpc_endpoint.interface : endpoint
      if contains(each.security_group_ids, aws_security_group.start["console"].id)
    ]) == toset(["ecr.api", "ecr.dkr", "logs", "secretsmanager"])
    error_message = "The console needs what starts its task, and no queue."
  }

  assert {
    condition = alltrue([for rule in concat(
      values(aws_vpc_security_group_egress_rule.process_to_endpoints), values(aws_vpc_security_group_ingress_rule.endpoints_from_process)
      ) : !contains([rule.security_group_id, rule.referenced_security_group_id], aws_security_group.process["console"].id)
    ])
    error_message = "The console gets to SQS by the endpoints of the others."
  }

  assert {
    condition = toset([for rule in values(aws_vpc_security_group_egress_rule.console_to_api) :
      "${rule.referenced_security_group_id} ${rule.from_port}"
      ]) == toset([
      "${aws_security_group.process["risk-api"].id} 8001", "${aws_security_group.process["debt-api"].id} 8002",
    ])
    error_message = "The console reaches both APIs."
  }

  assert {
    condition = toset([for rule in values(aws_vpc_security_group_ingress_rule.api_from_console) :
      "${rule.security_group_id} ${rule.from_port} ${rule.referenced_security_group_id}"
      ]) == toset([
      "${aws_security_group.process["risk-api"].id} 8001 ${aws_security_group.process["console"].id}",
      "${aws_security_group.process["debt-api"].id} 8002 ${aws_security_group.process["console"].id}",
    ])
    error_message = "Both APIs let the console in."
  }
}
