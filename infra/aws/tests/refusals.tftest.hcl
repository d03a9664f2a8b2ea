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

run "the_addresses_of_an_issuer_must_be_named" {
  command = plan

  variables {
    auth = { mode = "oidc", oidc_issuer = "https://login.example.com", oidc_audience = "smartrecover" }
  }

  expect_failures = [var.auth]
}

run "an_issuer_is_not_everywhere" {
  command = plan

  variables {
    auth = {
      mode = "oidc", oidc_issuer = "https://login.example.com", oidc_audience = "smartrecover", oidc_issuer_cidrs = ["0.0.0.0/0"]
    }
  }

  expect_failures = [var.auth]
}

run "what_is_on_the_internet_has_a_rate_limit" {
  command = plan

  variables {
    public = true
    auth   = { mode = "keys" }
  }

  expect_failures = [var.auth]
}

run "a_tag_is_no_digest" {
  command = plan

  variables {
    image_digest = "1.0.0"
  }

  expect_failures = [var.image_digest]
}

run "unsigned_messages_are_accepted_until_an_instant_in_utc" {
  command = plan

  variables {
    unsigned_until = "tomorrow"
  }

  expect_failures = [var.unsigned_until]
}

run "the_console_signs_people_in_as_a_client_of_the_issuer" {
  command = plan

  variables {
    console = { oidc_client_secret = true }
  }

  expect_failures = [var.console]
}
