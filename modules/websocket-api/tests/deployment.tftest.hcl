# A deployment is made once when what it is made of changes, and not otherwise.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  functions = { f = { package = "tests/package.zip" }, g = { package = "tests/package.zip" } }
  routes    = { "$default" = { function = "f" } }
}

run "first" {
  assert {
    condition     = aws_apigatewayv2_stage.this[0].deployment_id == aws_apigatewayv2_deployment.this[0].id && aws_apigatewayv2_stage.this[0].auto_deploy != true
    error_message = "the stage points at the deployment"
  }
}

run "nothing_changed" {
  assert {
    condition     = output.deployment_hash == run.first.deployment_hash
    error_message = "an apply without a change deploys"
  }
}

run "the_functions_code_changed" {
  variables {
    functions = { f = { package = "tests/other-package.zip" }, g = { package = "tests/package.zip" } }
  }

  assert {
    condition     = output.deployment_hash == run.first.deployment_hash
    error_message = "new code needs no deployment, and drops no connection"
  }
}

run "a_route_was_added" {
  variables {
    routes = { "$default" = { function = "f" }, send = { function = "f" } }
  }

  assert {
    condition     = output.deployment_hash != run.first.deployment_hash
    error_message = "a new route is not deployed"
  }
}

run "a_route_leads_elsewhere" {
  variables {
    routes = { "$default" = { function = "g" }, send = { function = "f" } }
  }

  assert {
    condition     = output.deployment_hash != run.a_route_was_added.deployment_hash
    error_message = "a route's new function is not deployed"
  }
}

run "a_route_became_two_way" {
  variables {
    routes = { "$default" = { function = "g", two_way = true }, send = { function = "f" } }
  }

  assert {
    condition     = output.deployment_hash != run.a_route_leads_elsewhere.deployment_hash
    error_message = "a route's new direction is not deployed"
  }
}

run "a_route_became_a_mock" {
  variables {
    routes = { "$default" = { function = "g", two_way = true }, send = { mock = "yes" } }
  }

  assert {
    condition     = output.deployment_hash != run.a_route_became_two_way.deployment_hash
    error_message = "a route's new kind is not deployed"
  }
}

run "a_mock_says_something_else" {
  variables {
    routes = { "$default" = { function = "g", two_way = true }, send = { mock = "no" } }
  }

  assert {
    condition     = output.deployment_hash != run.a_route_became_a_mock.deployment_hash
    error_message = "a mock's answer is not deployed"
  }
}

run "the_functions_have_another_name" {
  variables {
    name = "talk"
  }

  assert {
    condition     = output.deployment_hash != run.first.deployment_hash
    error_message = "the stage would go on to invoke functions that are gone"
  }
}

run "a_route_leads_to_a_function_that_exists" {
  variables {
    functions = { f = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:one" } }
  }
}

run "the_function_that_exists_is_another" {
  variables {
    functions = { f = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:two" } }
  }

  assert {
    condition     = output.deployment_hash != run.a_route_leads_to_a_function_that_exists.deployment_hash
    error_message = "another function is not deployed"
  }
}

run "messages_name_their_route_elsewhere" {
  variables {
    route_selection_expression = "$request.body.type"
  }

  assert {
    condition     = output.deployment_hash != run.first.deployment_hash
    error_message = "another selection is not deployed"
  }
}

run "what_is_not_in_a_deployment_changes" {
  variables {
    functions        = { f = { package = "tests/package.zip", memory_size = 1024, timeout = 20, environment = { A = "b" }, connections = ["read"] }, g = { package = "tests/package.zip", reserved_concurrency = 3 } }
    routes           = { "$default" = { function = "f", throttling_rate_limit = 10 } }
    throttling       = { rate_limit = 5, burst_limit = 5 }
    stage_variables  = { a = "b" }
    logging          = { access_logs = true, execution_level = "ERROR" }
    alarms           = {}
    dashboard        = true
    connection_table = { shards = 4 }
    ip_address_type  = "dualstack"
    metrics          = true
    domain           = { name = "ws.example.com", hosted_zone = { id = "Z1" } }
    tags             = { team = "a" }
  }

  assert {
    condition     = output.deployment_hash == run.first.deployment_hash
    error_message = "the API is deployed anew for nothing"
  }
}

run "the_function_is_kept_warm_behind_an_alias" {
  variables {
    functions = { f = { package = "tests/package.zip", provisioned_concurrency = 1 }, g = { package = "tests/package.zip" } }
  }

  assert {
    condition     = output.deployment_hash != run.first.deployment_hash
    error_message = "the stage would go on to invoke what is not warm"
  }
}

run "more_is_kept_warm_of_another_version" {
  variables {
    functions = { f = { package = "tests/other-package.zip", provisioned_concurrency = 2 }, g = { package = "tests/package.zip" } }
  }

  assert {
    condition     = output.deployment_hash == run.the_function_is_kept_warm_behind_an_alias.deployment_hash
    error_message = "the alias moves, the routes stay"
  }
}

run "messages_are_checked" {
  variables {
    routes = { "$default" = { function = "f", request_model = "{\"type\":\"object\"}" } }
  }

  assert {
    condition     = output.deployment_hash != run.first.deployment_hash && aws_apigatewayv2_model.request["$default"].schema == "{\"type\":\"object\"}"
    error_message = "a new model is not deployed"
  }
}

run "messages_are_checked_otherwise" {
  variables {
    routes = { "$default" = { function = "f", request_model = "{\"type\":\"array\"}" } }
  }

  assert {
    condition     = output.deployment_hash != run.messages_are_checked.deployment_hash
    error_message = "a changed model is not deployed"
  }
}

run "a_route_needs_an_api_key" {
  variables {
    routes = { "$default" = { function = "f", api_key_required = true, operation_name = "Talk" } }
  }

  assert {
    condition     = output.deployment_hash != run.first.deployment_hash
    error_message = "the stage would go on without keys"
  }
}

run "connecting_is_free" {
  variables {
    routes = { "$connect" = { function = "f" } }
  }
}

run "connecting_is_authorized" {
  variables {
    routes     = { "$connect" = { function = "f" } }
    authorizer = { function = "f" }
  }

  assert {
    condition     = output.deployment_hash != run.connecting_is_free.deployment_hash
    error_message = "the stage would go on to let everybody in"
  }
}

run "the_authorizer_is_another_function" {
  variables {
    routes     = { "$connect" = { function = "f" } }
    authorizer = { function = "g" }
  }

  assert {
    condition     = output.deployment_hash != run.connecting_is_authorized.deployment_hash
    error_message = "the stage would go on to ask the other"
  }
}

run "the_authorizer_looks_elsewhere" {
  variables {
    routes     = { "$connect" = { function = "f" } }
    authorizer = { function = "g", identity_sources = ["route.request.querystring.token"] }
  }

  assert {
    condition     = output.deployment_hash != run.the_authorizer_is_another_function.deployment_hash
    error_message = "the stage would go on to look where it did"
  }
}

run "a_route_calls_a_backend" {
  variables {
    routes = { "$default" = { http = { url = "https://one.example.com" } } }
  }
}

run "the_backend_is_another" {
  variables {
    routes = { "$default" = { http = { url = "https://two.example.com" } } }
  }

  assert {
    condition     = output.deployment_hash != run.a_route_calls_a_backend.deployment_hash
    error_message = "another backend is not deployed"
  }
}

run "a_queue_takes_over" {
  variables {
    routes = { "$default" = { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:q" } } }
  }

  assert {
    condition     = output.deployment_hash != run.the_backend_is_another.deployment_hash
    error_message = "the queue is not deployed"
  }
}

run "the_queue_is_answered_for" {
  variables {
    routes = { "$default" = { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:q", reply = "queued" } } }
  }

  assert {
    condition     = output.deployment_hash != run.a_queue_takes_over.deployment_hash
    error_message = "the reply is not deployed"
  }
}

run "the_default_endpoint_is_switched_off" {
  variables {
    domain = { name = "ws.example.com", hosted_zone = { id = "Z1" }, disable_execute_api_endpoint = true }
  }

  assert {
    condition     = output.deployment_hash != run.first.deployment_hash
    error_message = "the stage would go on to answer there"
  }
}

run "a_queue_is_called_by_a_role" {
  variables {
    functions = {}
    routes    = { track = { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:q" } } }
  }
}

run "the_role_has_another_name" {
  variables {
    name      = "talk"
    functions = {}
    routes    = { track = { queue = { arn = "arn:aws:sqs:eu-central-1:123456789012:q" } } }
  }

  assert {
    condition     = output.deployment_hash != run.a_queue_is_called_by_a_role.deployment_hash
    error_message = "the stage would go on to call by a role that is gone"
  }
}
