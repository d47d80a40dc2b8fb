# A domain of one's own, in every combination.

mock_provider "aws" {
  source = "./tests/aws"
}

variables {
  name   = "chat"
  stage  = "dev"
  routes = { ping = { mock = "pong" } }
}

run "without_a_domain_the_api_has_the_one_that_aws_gives" {
  assert {
    condition = (
      output.websocket_url == "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/dev"
      && output.management_endpoint == "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/dev"
      && output.domain_target == null
      && !aws_apigatewayv2_api.this[0].disable_execute_api_endpoint
      && aws_apigatewayv2_api.this[0].ip_address_type == "ipv4"
    )
    error_message = "${output.websocket_url} ${output.management_endpoint}"
  }

  assert {
    condition     = length(aws_apigatewayv2_domain_name.this) + length(aws_apigatewayv2_api_mapping.this) + length(aws_acm_certificate.this) + length(aws_route53_record.alias) == 0
    error_message = "nothing of a domain is made"
  }
}

run "in_a_zone_the_certificate_and_the_records_are_made" {
  variables {
    domain = { name = "ws.example.com", hosted_zone = { id = "Z1" } }
  }

  assert {
    condition = (
      aws_acm_certificate.this[0].domain_name == "ws.example.com"
      && aws_acm_certificate.this[0].validation_method == "DNS"
      && aws_route53_record.validation[0].zone_id == "Z1"
      && aws_route53_record.validation[0].name == "_x.ws.example.com"
      && aws_route53_record.validation[0].records == toset(["_y.acm-validations.aws"])
      && aws_acm_certificate_validation.this[0].certificate_arn == aws_acm_certificate.this[0].arn
    )
    error_message = "the certificate is validated in the zone"
  }

  assert {
    condition = (
      aws_apigatewayv2_domain_name.this[0].domain_name == "ws.example.com"
      && aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].endpoint_type == "REGIONAL"
      && aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].security_policy == "TLS_1_2"
      && aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].certificate_arn == "arn:aws:acm:eu-central-1:123456789012:certificate/made"
      && aws_apigatewayv2_api_mapping.this[0].stage == "dev"
      && aws_apigatewayv2_api_mapping.this[0].api_mapping_key == null
    )
    error_message = jsonencode(aws_apigatewayv2_domain_name.this)
  }

  assert {
    condition     = { for type, r in aws_route53_record.alias : type => "${r.zone_id} ${r.name} ${r.alias[0].name} ${r.alias[0].zone_id}" } == { A = "Z1 ws.example.com d-abc.execute-api.eu-central-1.amazonaws.com ZAPIGATEWAY" }
    error_message = jsonencode(aws_route53_record.alias)
  }

  # Posts need no DNS of the caller's as long as the API's own endpoint answers.
  assert {
    condition     = output.websocket_url == "wss://ws.example.com" && output.management_endpoint == "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/dev"
    error_message = "${output.websocket_url} ${output.management_endpoint}"
  }
}

run "dual_stack_is_of_the_api_the_domain_and_the_records" {
  variables {
    ip_address_type = "dualstack"
    domain          = { name = "ws.example.com", hosted_zone = { id = "Z1" } }
  }

  assert {
    condition = (
      aws_apigatewayv2_api.this[0].ip_address_type == "dualstack"
      && aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].ip_address_type == "dualstack"
      && keys(aws_route53_record.alias) == ["A", "AAAA"]
      && aws_route53_record.alias["AAAA"].type == "AAAA"
    )
    error_message = "IPv6 clients cannot connect"
  }
}

run "a_certificate_that_is_brought_along_is_used" {
  variables {
    domain = { name = "ws.example.com", certificate = { arn = "arn:aws:acm:eu-central-1:123456789012:certificate/mine" } }
  }

  assert {
    condition     = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].certificate_arn == "arn:aws:acm:eu-central-1:123456789012:certificate/mine"
    error_message = jsonencode(aws_apigatewayv2_domain_name.this)
  }

  assert {
    condition     = length(aws_acm_certificate.this) + length(aws_acm_certificate_validation.this) + length(aws_route53_record.validation) + length(aws_route53_record.alias) == 0
    error_message = "without a zone no record is made, and no second certificate"
  }

  assert {
    condition     = output.domain_target.name == "d-abc.execute-api.eu-central-1.amazonaws.com" && output.domain_target.hosted_zone_id == "ZAPIGATEWAY"
    error_message = "who makes the records needs to know what they point at: ${jsonencode(output.domain_target)}"
  }
}

run "a_certificate_and_a_zone" {
  variables {
    domain = { name = "ws.example.com", certificate = { arn = "arn:aws:acm:eu-central-1:123456789012:certificate/mine" }, hosted_zone = { id = "Z1" } }
  }

  assert {
    condition     = length(aws_acm_certificate.this) == 0 && keys(aws_route53_record.alias) == ["A"]
    error_message = "the records are made, the certificate is not"
  }
}

run "below_a_path" {
  variables {
    domain = { name = "ws.example.com", hosted_zone = { id = "Z1" }, mapping_key = "chat/v1" }
  }

  assert {
    condition     = aws_apigatewayv2_api_mapping.this[0].api_mapping_key == "chat/v1" && output.websocket_url == "wss://ws.example.com/chat/v1"
    error_message = output.websocket_url
  }
}

run "when_the_domain_alone_answers_posts_go_there_too" {
  variables {
    domain    = { name = "ws.example.com", hosted_zone = { id = "Z1" }, mapping_key = "chat", disable_execute_api_endpoint = true }
    functions = { f = { package = "tests/package.zip", manage_connections = ["POST"] } }
  }

  assert {
    condition     = aws_apigatewayv2_api.this[0].disable_execute_api_endpoint && output.websocket_url == "wss://ws.example.com/chat" && output.management_endpoint == "https://ws.example.com/chat"
    error_message = "${output.websocket_url} ${output.management_endpoint}"
  }

  assert {
    condition     = aws_lambda_function.this["f"].environment[0].variables["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] == "https://ws.example.com/chat"
    error_message = "the functions post to an endpoint that is switched off"
  }

  # The grant names the API and its stage, whatever the name that it is reached by.
  assert {
    condition     = jsondecode(output.policies["POST"]).Statement[0].Resource == ["arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/POST/@connections/*"]
    error_message = output.policies["POST"]
  }
}

run "when_the_domain_alone_answers_at_its_root" {
  variables {
    domain = { name = "ws.example.com", hosted_zone = { id = "Z1" }, disable_execute_api_endpoint = true }
  }

  assert {
    condition     = output.management_endpoint == "https://ws.example.com"
    error_message = output.management_endpoint
  }
}

run "an_existing_domain_is_only_mapped" {
  variables {
    domain = { name = "ws.example.com", existing = true, mapping_key = "second" }
  }

  assert {
    condition = (
      aws_apigatewayv2_api_mapping.this[0].domain_name == "ws.example.com"
      && aws_apigatewayv2_api_mapping.this[0].api_mapping_key == "second"
      && output.websocket_url == "wss://ws.example.com/second"
      && output.domain_name == "ws.example.com"
      && output.domain_target == null
    )
    error_message = jsonencode(aws_apigatewayv2_api_mapping.this)
  }

  assert {
    condition     = length(aws_apigatewayv2_domain_name.this) + length(aws_acm_certificate.this) + length(aws_route53_record.alias) + length(aws_route53_record.validation) == 0
    error_message = "the domain is made by somebody else"
  }
}
