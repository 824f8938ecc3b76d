# The load balancer: TLS outside, ingest's port inside, and only the paths that clients need.

resource "aws_security_group" "front" {
  name        = "${var.name}-front"
  description = "Load balancer of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-front" })
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each          = toset(var.allowed_cidrs)
  security_group_id = aws_security_group.front.id
  description       = "Clients over TLS"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_lb" "front" {
  # checkov:skip=CKV_AWS_150:`deletion_protection` is on unless the caller says otherwise, as a trial that is torn down must
  # checkov:skip=CKV2_AWS_28:A web ACL is the caller's to attach (docs/deploy.md has one); whether it pays depends on who may reach the load balancer
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  subnets                    = var.subnet_ids
  security_groups            = [aws_security_group.front.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # Shorter than ingest's 30 s for a connection that lies idle, or a request could meet a connection that is just
  # being closed and be answered 502; longer than its SEND_TIMEOUT.
  idle_timeout = 25
  tags         = var.tags

  dynamic "access_logs" {
    for_each = var.access_logs_bucket == null ? [] : [var.access_logs_bucket]
    content {
      bucket  = access_logs.value
      prefix  = var.name
      enabled = true
    }
  }
}

resource "aws_lb_target_group" "ingest" {
  # checkov:skip=CKV_AWS_378:TLS ends at the load balancer; behind it requests stay in the VPC, on a port that only the load balancer may reach
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = var.port
  # A task gets no new requests this long before it is told to stop; the longest that ingest takes to answer one is
  # BODY_TIMEOUT and SEND_TIMEOUT, 40 s.
  deregistration_delay          = 45
  load_balancing_algorithm_type = "least_outstanding_requests"
  tags                          = var.tags

  # Not /readyz: ECS ends a task that the load balancer calls unhealthy, and while SQS is down a new one would not even start.
  # Not the port of clients: where they take all of its connections, a task is busy and not unhealthy.
  health_check {
    path                = "/livez"
    port                = var.admin_port
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

# The only listener: a client that posts its key in plain text, to port 80, is not helped along by a redirect.
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.front.arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = local.certificate_arn
  tags              = var.tags

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "application/json"
      message_body = jsonencode({ error = { code = "not_found", message = "no such route" } })
      status_code  = "404"
    }
  }
}

# The port of /metrics, /livez and /readyz is forwarded to nobody: what the service costs and how it is doing is nobody else's business.
resource "aws_lb_listener_rule" "public" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 10
  tags         = var.tags

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.ingest.arn
  }

  condition {
    path_pattern {
      values = var.public_paths
    }
  }
}

resource "aws_lb_target_group" "query" {
  # checkov:skip=CKV_AWS_378:TLS ends at the load balancer; behind it requests stay in the VPC, on a port that only the load balancer may reach
  count       = var.query == null ? 0 : 1
  name        = "${var.name}-query"
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = var.query.port
  # Longer than QUERY_TIMEOUT, 30 s.
  deregistration_delay          = 45
  load_balancing_algorithm_type = "least_outstanding_requests"
  tags                          = var.tags

  # A sign-in on the console is known to one task. Clients that keep no cookies are led anywhere.
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 43200 # SESSION_HOURS
  }

  # Not /readyz, for the reason that ingest's has.
  health_check {
    path                = "/livez"
    port                = var.query.admin_port
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

# Before ingest's rule, which takes all of /v1. A rule holds five paths.
resource "aws_lb_listener_rule" "query" {
  count        = var.query == null ? 0 : length(chunklist(var.query_paths, 5))
  listener_arn = aws_lb_listener.https.arn
  priority     = 1 + count.index
  tags         = var.tags

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.query[0].arn
  }

  condition {
    path_pattern {
      values = chunklist(var.query_paths, 5)[count.index]
    }
  }
}

resource "aws_lb_target_group" "alerts" {
  # checkov:skip=CKV_AWS_378:TLS ends at the load balancer; behind it requests stay in the VPC, on a port that only the load balancer may reach
  count                         = var.alerts == null ? 0 : 1
  name                          = "${var.name}-alerts"
  vpc_id                        = var.vpc_id
  target_type                   = "ip"
  protocol                      = "HTTP"
  port                          = var.alerts.port
  deregistration_delay          = 15
  load_balancing_algorithm_type = "least_outstanding_requests"
  tags                          = var.tags

  # Not /readyz, for the reason that ingest's has.
  health_check {
    path                = "/livez"
    port                = var.alerts.admin_port
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener_rule" "alerts" {
  count        = var.alerts == null ? 0 : 1
  listener_arn = aws_lb_listener.https.arn
  priority     = 9
  tags         = var.tags

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.alerts[0].arn
  }

  condition {
    path_pattern {
      values = var.alerts_paths
    }
  }
}
