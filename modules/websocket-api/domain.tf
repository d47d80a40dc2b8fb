locals {
  domain            = var.create ? var.domain : null
  makes_domain      = one(local.domain[*].existing) == false
  makes_records     = one(local.domain[*].hosted_zone) != null
  makes_certificate = local.makes_domain && one(local.domain[*].certificate) == null
  domain_addresses  = local.makes_records ? { ipv4 = ["A"], dualstack = ["A", "AAAA"] }[var.ip_address_type] : []
}

resource "aws_acm_certificate" "this" {
  count = local.makes_certificate ? 1 : 0

  domain_name       = local.domain.name
  validation_method = "DNS"
  tags              = var.tags

  # The domain takes the new certificate before the old one is deleted.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  count = local.makes_certificate ? 1 : 0

  zone_id         = local.domain.hosted_zone.id
  name            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this[0].domain_validation_options).resource_record_value]
  ttl             = 300
  allow_overwrite = true # Another certificate for the same name is validated by the same record.
}

resource "aws_acm_certificate_validation" "this" {
  count = local.makes_certificate ? 1 : 0

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = [aws_route53_record.validation[0].fqdn]
}

resource "aws_apigatewayv2_domain_name" "this" {
  count = local.makes_domain ? 1 : 0

  domain_name = local.domain.name
  tags        = var.tags

  domain_name_configuration {
    certificate_arn = local.makes_certificate ? aws_acm_certificate_validation.this[0].certificate_arn : local.domain.certificate.arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
    ip_address_type = var.ip_address_type
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = local.domain == null ? 0 : 1

  api_id          = local.api.id
  stage           = aws_apigatewayv2_stage.this[0].name
  domain_name     = local.makes_domain ? aws_apigatewayv2_domain_name.this[0].domain_name : local.domain.name
  api_mapping_key = local.domain.mapping_key
}

resource "aws_route53_record" "alias" {
  for_each = toset(local.domain_addresses)

  zone_id = local.domain.hosted_zone.id
  name    = local.domain.name
  type    = each.key

  alias {
    name                   = local.domain_target.name
    zone_id                = local.domain_target.hosted_zone_id
    evaluate_target_health = false
  }
}

locals {
  domain_target = one([for d in aws_apigatewayv2_domain_name.this : {
    name           = d.domain_name_configuration[0].target_domain_name
    hosted_zone_id = d.domain_name_configuration[0].hosted_zone_id
  }])
}
