# What runs on Fargate, against a mocked AWS.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                  = "test"
  region                = "us-east-1"
  image                 = "registry.example/smartrecover@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  architecture          = "X86_64"
  running               = true
  consumers_most        = 10
  consumers_backlog     = 100
  consumers_age_seconds = 120
  consumers_on_spot     = false
  vpc_id                = "vpc-1"
  private_subnet_ids    = ["subnet-1", "subnet-2"]
  process_group_ids     = { risk-api = "sg-1", dispatcher = "sg-2", debt-api = "sg-3", consumer = "sg-4", console = "sg-6" }
  kms_key_arn           = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001"
  log_days              = 365
  auth                  = { mode = "keys" }
  tuning                = {}
  unsigned_until        = null
  console               = null # whatever the example has

  sizes = {
    risk-api   = { cpu = 1024, memory = 2048, count = 2 }
    dispatcher = { cpu = 1024, memory = 2048, count = 2 }
    debt-api   = { cpu = 1024, memory = 2048, count = 2 }
    consumer   = { cpu = 1024, memory = 2048, count = 3 }
    console    = { cpu = 256, memory = 512, count = 1 }
  }
  balancer = {
    public          = false
    subnet_ids      = ["subnet-1", "subnet-2"]
    cidrs           = ["10.0.0.0/20"]
    group_id        = "sg-5"
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
    protected       = true
  }
  queues = {
    names              = { batches-high = "test-high", batches-standard = "test-standard", batch-results = "test-results", stops = "test-stops" }
    visibility_seconds = 60
    max_receives       = 5
  }
  secrets = {
    database_urls = {
      risk = "arn:aws:secretsmanager:us-east-1:111122223333:secret:risk"
      debt = "arn:aws:secretsmanager:us-east-1:111122223333:secret:debt"
    }
    owner_urls = {
      risk = "arn:aws:secretsmanager:us-east-1:111122223333:secret:risk-owner"
      debt = "arn:aws:secretsmanager:us-east-1:111122223333:secret:debt-owner"
    }
    message_keys = "arn:aws:secretsmanager:us-east-1:111122223333:secret:message-keys"
    masters = {
      risk = "arn:aws:secretsmanager:us-east-1:111122223333:secret:risk-master"
      debt = "arn:aws:secretsmanager:us-east-1:111122223333:secret:debt-master"
    }
    console = { session = "arn:aws:secretsmanager:us-east-1:111122223333:secret:console-session" }
  }
  roles = {
    process = {
      risk-api   = "arn:aws:iam::111122223333:role/risk-api"
      dispatcher = "arn:aws:iam::111122223333:role/dispatcher"
      debt-api   = "arn:aws:iam::111122223333:role/debt-api"
      consumer   = "arn:aws:iam::111122223333:role/consumer"
    }
    start = {
      risk         = "arn:aws:iam::111122223333:role/start-risk"
      debt         = "arn:aws:iam::111122223333:role/start-debt"
      console      = "arn:aws:iam::111122223333:role/start-console"
      migrate-risk = "arn:aws:iam::111122223333:role/migrate-risk"
      migrate-debt = "arn:aws:iam::111122223333:role/migrate-debt"
      prepare-risk = "arn:aws:iam::111122223333:role/prepare-risk"
      prepare-debt = "arn:aws:iam::111122223333:role/prepare-debt"
    }
  }
}

run "services" {
  module {
    source = "./modules/services"
  }

  assert {
    condition = alltrue([for service in concat(values(aws_ecs_service.this), [aws_ecs_service.consumer]) :
      service.deployment_circuit_breaker[0].enable && service.deployment_circuit_breaker[0].rollback
      && !service.network_configuration[0].assign_public_ip
    ])
    error_message = "A version that does not start is taken back, and nothing has a public address."
  }

  assert {
    condition     = aws_ecs_service.this["dispatcher"].desired_count == 2 && aws_ecs_service.consumer.desired_count == 3
    error_message = "As many run as `sizes` says."
  }

  assert {
    condition     = aws_ecs_service.consumer.wait_for_steady_state
    error_message = "Who receives is changed before who sends."
  }

  assert {
    condition = (
      aws_lb_listener.https.protocol == "HTTPS" && strcontains(aws_lb_listener.https.ssl_policy, "TLS13")
      && aws_lb_listener.https.default_action[0].type == "fixed-response"
      && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    )
    error_message = "Callers come over TLS, and to nothing but the services' own paths."
  }

  assert {
    condition = alltrue([for group in values(aws_lb_target_group.api) :
      group.health_check[0].path == "/readyz" && group.health_check[0].unhealthy_threshold * group.health_check[0].interval >= 300
    ])
    error_message = "Only what is ready is called, and an outage of the database restarts nothing before five minutes."
  }

  assert {
    condition     = aws_appautoscaling_target.consumer.min_capacity == 3 && aws_appautoscaling_target.consumer.max_capacity == 10
    error_message = "Consumers scale between their least and their most."
  }

  assert {
    condition = toset(flatten([for metric in aws_appautoscaling_policy.backlog.target_tracking_scaling_policy_configuration[0].customized_metric_specification[0].metrics :
      [for stat in metric.metric_stat : [for one in stat.metric : [for dimension in one.dimensions : dimension.value if dimension.name == "QueueName"]]]
    ])) == toset(["test-high", "test-standard"])
    error_message = "The backlog is that of both lanes."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.age.metric_query) == 3
    error_message = "The age is that of the oldest message in either lane."
  }

  assert {
    condition     = alltrue([for group in values(aws_cloudwatch_log_group.this) : group.retention_in_days == 365])
    error_message = "Logs are kept for as long as it was said."
  }

  assert {
    condition     = length(aws_service_discovery_service.api) == 0 && length(aws_lb_listener_rule.refused) == 0 && !contains(keys(aws_ecs_service.this), "console")
    error_message = "The console is there without being asked for."
  }
}

run "nothing_runs_before_it_is_prepared" {
  module {
    source = "./modules/services"
  }

  variables {
    running = false
  }

  assert {
    condition     = alltrue([for service in values(aws_ecs_service.this) : service.desired_count == 0]) && aws_appautoscaling_target.consumer.max_capacity == 0
    error_message = "Nothing may run."
  }
}

run "a_migration_starts_under_a_role_of_its_own" {
  module {
    source = "./modules/services"
  }

  assert {
    condition = alltrue([for service in ["risk", "debt"] : (
      aws_ecs_task_definition.this["migrate-${service}"].execution_role_arn == var.roles.start["migrate-${service}"]
      && [for secret in output.containers["migrate-${service}"].secrets : secret.valueFrom] == [var.secrets.owner_urls[service]]
    )])
    error_message = "Only the migration reads the password of the tables' owner, and nothing else."
  }
}

run "an_upgrade_may_accept_unsigned_messages_for_some_time" {
  module {
    source = "./modules/services"
  }

  variables {
    unsigned_until = "2027-01-31T18:00:00Z"
  }

  assert {
    condition = alltrue([for process in ["risk-api", "dispatcher", "debt-api", "consumer"] : contains([
      for variable in output.containers[process].environment : "${variable.name}=${variable.value}"
    ], "RECOVERY_UNSIGNED_UNTIL=2027-01-31T18:00:00Z")])
    error_message = "Every process must know until when."
  }
}

run "a_tag_is_no_image" {
  command = plan

  module {
    source = "./modules/services"
  }

  variables {
    image = "registry.example/smartrecover:1.0.0"
  }

  expect_failures = [var.image]
}

run "the_console_has_every_path_that_is_not_an_apis" {
  module {
    source = "./modules/services"
  }

  variables {
    console = { url = "https://recovery.example.com" }
  }

  assert {
    condition = (
      aws_lb_listener.https.default_action[0].type == "forward" && length(aws_lb_listener.https.default_action[0].fixed_response) == 0
      && aws_lb_target_group.api["console"].port == 8003 && aws_lb_target_group.api["console"].health_check[0].path == "/readyz"
      && toset(keys(aws_lb_listener_rule.api)) == toset(["risk-api", "debt-api"])
    )
    error_message = "The console is at /, and the APIs are where they were."
  }

  assert {
    condition = alltrue([for rule in aws_lb_listener_rule.refused : (
      rule.action[0].type == "fixed-response" && rule.action[0].fixed_response[0].status_code == "404"
      && rule.priority < min([for api in values(aws_lb_listener_rule.api) : api.priority]...)
      && alltrue([for condition in rule.condition : alltrue([for pattern in condition.path_pattern : length(pattern.values) <= 5])])
    )])
    error_message = "The metrics are refused before anything else is decided, by rules that AWS takes."
  }

  assert {
    condition = (
      alltrue([for api in ["risk-api", "debt-api"] : length(aws_ecs_service.this[api].service_registries) == 1])
      && alltrue([for process in ["console", "dispatcher"] : length(aws_ecs_service.this[process].service_registries) == 0])
    )
    error_message = "The APIs, and they alone, are found by name."
  }

  assert {
    condition = (
      aws_ecs_task_definition.this["console"].task_role_arn == null
      && aws_ecs_task_definition.this["console"].execution_role_arn == var.roles.start["console"]
      && output.containers["console"].secrets == [{ name = "CONSOLE_SESSION_SECRET", valueFrom = var.secrets.console["session"] }]
    )
    error_message = "The console may do nothing in AWS, and has the secret of its sessions alone."
  }

  assert {
    condition     = output.balancer.targets["console"] == aws_lb_target_group.api["console"].arn_suffix
    error_message = "The console is watched like an API."
  }
}
