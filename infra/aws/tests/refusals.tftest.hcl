# What production.tfvars must not be changed into.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "nobody_calls_an_api_unasked" {
  command = plan

  variables {
    auth = { mode = "off" }
  }

  expect_failures = [var.auth]
}

run "an_issuer_must_be_named" {
  command = plan

  variables {
    auth = { mode = "oidc" }
  }

  expect_failures = [var.auth]
}

run "a_database_must_have_connections_for_all_consumers" {
  command = plan

  variables {
    consumers = { most = 500 }
  }

  expect_failures = [var.databases]
}
