# The stage's limits are always said: left out, AWS's provider would make them 0.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name      = "chat"
  functions = { f = { package = "tests/package.zip" } }
  routes = {
    "$default" = { function = "f" }
    slow       = { function = "f", throttling_rate_limit = 5 }
  }
}

run "by_default" {
  assert {
    condition     = aws_apigatewayv2_stage.this[0].default_route_settings[0].throttling_rate_limit == 1000 && aws_apigatewayv2_stage.this[0].default_route_settings[0].throttling_burst_limit == 500
    error_message = jsonencode(aws_apigatewayv2_stage.this[0].default_route_settings)
  }

  assert {
    condition     = aws_apigatewayv2_stage.this[0].name == "live"
    error_message = aws_apigatewayv2_stage.this[0].name
  }
}

run "a_route_overrides_one_limit_and_keeps_the_other" {
  variables {
    throttling = { rate_limit = 50, burst_limit = 20 }
  }

  assert {
    condition     = [for s in aws_apigatewayv2_stage.this[0].route_settings : [s.route_key, s.throttling_rate_limit, s.throttling_burst_limit]] == [["slow", 5, 20]]
    error_message = jsonencode(aws_apigatewayv2_stage.this[0].route_settings)
  }
}
