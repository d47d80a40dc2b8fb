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
    condition     = aws_apigatewayv2_stage.this.deployment_id == aws_apigatewayv2_deployment.this.id && aws_apigatewayv2_stage.this.auto_deploy != true
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
