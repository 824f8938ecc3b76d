# Name and certificate, where the zone is in Route 53. Otherwise the caller brings a certificate and sets the name.

locals {
  certificate_arn = var.domain == null ? var.certificate_arn : one(aws_acm_certificate_validation.front[*].certificate_arn)
}

resource "aws_acm_certificate" "front" {
  count             = var.domain == null ? 0 : 1
  domain_name       = var.domain.name
  validation_method = "DNS"
  tags              = var.tags

  lifecycle {
    # The listener holds the old one until the new one is there.
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  count           = var.domain == null ? 0 : 1
  zone_id         = var.domain.zone_id
  name            = one(aws_acm_certificate.front[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.front[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.front[0].domain_validation_options).resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "front" {
  count                   = var.domain == null ? 0 : 1
  certificate_arn         = aws_acm_certificate.front[0].arn
  validation_record_fqdns = [aws_route53_record.validation[0].fqdn]
}

resource "aws_route53_record" "front" {
  count   = var.domain == null ? 0 : 1
  zone_id = var.domain.zone_id
  name    = var.domain.name
  type    = "A"

  alias {
    name                   = aws_lb.front.dns_name
    zone_id                = aws_lb.front.zone_id
    evaluate_target_health = false
  }
}
