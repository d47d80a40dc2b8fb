# What AWS would refuse late, or take and break on, is refused at plan.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  functions = { f = { package = "tests/package.zip" } }
  routes    = { "$default" = { function = "f" } }
}

run "a_name_with_blanks" {
  command = plan

  variables {
    name = "my chat"
  }

  expect_failures = [var.name]
}

run "a_name_too_long_for_a_functions" {
  command = plan

  variables {
    name = "a123456789b123456789c123456789d123456789e"
  }

  expect_failures = [var.name]
}

run "the_default_stage" {
  command = plan

  variables {
    stage = "$default"
  }

  expect_failures = [var.stage]
}

run "limits_of_zero" {
  command = plan

  variables {
    throttling = { rate_limit = 0 }
  }

  expect_failures = [var.throttling]
}

run "a_retention_that_is_not_offered" {
  command = plan

  variables {
    log_retention_days = 2
  }

  expect_failures = [var.log_retention_days]
}

run "an_unknown_log_level" {
  command = plan

  variables {
    log_level = "LOUD"
  }

  expect_failures = [var.log_level]
}

run "no_routes" {
  command = plan

  variables {
    routes = {}
  }

  expect_failures = [var.routes]
}

run "a_route_that_leads_nowhere" {
  command = plan

  variables {
    routes = { "$default" = {} }
  }

  expect_failures = [var.routes]
}

run "a_route_that_leads_to_two_places" {
  command = plan

  variables {
    routes = { "$default" = { function = "f", mock = "x" } }
  }

  expect_failures = [var.routes]
}

run "a_route_to_an_unknown_function" {
  command = plan

  variables {
    routes = { "$default" = { function = "g" } }
  }

  expect_failures = [var.routes]
}

run "an_answer_before_there_is_a_connection" {
  command = plan

  variables {
    routes = { "$connect" = { function = "f", two_way = true } }
  }

  expect_failures = [var.routes]
}

run "a_mock_after_there_was_a_connection" {
  command = plan

  variables {
    routes = { "$disconnect" = { mock = "bye" } }
  }

  expect_failures = [var.routes]
}

run "a_routes_limit_of_zero" {
  command = plan

  variables {
    routes = { "$default" = { function = "f", throttling_burst_limit = 0 } }
  }

  expect_failures = [var.routes]
}

run "a_function_of_nothing" {
  command = plan

  variables {
    functions = { f = {} }
  }

  expect_failures = [var.functions]
}

run "a_function_of_two_things" {
  command = plan

  variables {
    functions = { f = { package = "tests/package.zip", arn = "arn:aws:lambda:eu-central-1:123456789012:function:f" } }
  }

  expect_failures = [var.functions]
}

run "a_package_that_is_not_there" {
  command = plan

  variables {
    functions = { f = { package = "tests/no-such-package.zip" } }
  }

  expect_failures = [aws_lambda_function.this]
}

run "a_functions_name_that_is_too_long" {
  command = plan

  variables {
    functions = { f = { package = "tests/package.zip" }, a123456789b123456789c123 = { package = "tests/package.zip" } }
  }

  expect_failures = [var.functions]
}

run "an_invoke_arn_for_an_arn" {
  command = plan

  variables {
    functions = { f = { arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/x/invocations" } }
  }

  expect_failures = [var.functions]
}

run "grants_for_a_function_with_a_role_of_its_own" {
  command = plan

  variables {
    functions = { f = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:f", connections = ["read"] } }
  }

  expect_failures = [var.functions]
}

run "an_unknown_intent" {
  command = plan

  variables {
    functions = { f = { package = "tests/package.zip", connections = ["scan"] } }
  }

  expect_failures = [var.functions]
}

run "an_unknown_method" {
  command = plan

  variables {
    functions = { f = { package = "tests/package.zip", manage_connections = ["PUT"] } }
  }

  expect_failures = [var.functions]
}

run "an_unknown_architecture" {
  command = plan

  variables {
    functions = { f = { package = "tests/package.zip", architecture = "aarch64" } }
  }

  expect_failures = [var.functions]
}

run "a_timeout_longer_than_api_gateway_waits" {
  command = plan

  variables {
    functions = { f = { package = "tests/package.zip", timeout = 30 } }
  }

  expect_failures = [var.functions]
}

run "a_mock_that_would_be_read_as_a_template" {
  command = plan

  variables {
    routes = { ping = { mock = "costs $5" } }
  }

  expect_failures = [var.routes]
}
