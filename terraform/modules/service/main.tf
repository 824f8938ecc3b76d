# A service of Fargate tasks that replaces, rolls back and scales itself.

resource "aws_security_group" "service" {
  name        = var.task.name
  description = "Tasks of ${var.task.name}"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = var.task.name })
}

# AWS itself, over TLS. Names are asked of the VPC's own resolver, which no security group stands before.
resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.service.id
  description       = "AWS over TLS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "other" {
  for_each          = toset([for port in var.egress_ports : tostring(port)])
  security_group_id = aws_security_group.service.id
  description       = "Others that ${var.task.name} calls"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
}

locals {
  # Requests, and health checks.
  load_balancer_ports = var.load_balancer == null ? {} : {
    requests = var.load_balancer.port
    health   = var.load_balancer.admin_port
  }
}

resource "aws_vpc_security_group_ingress_rule" "load_balancer" {
  for_each                     = local.load_balancer_ports
  security_group_id            = aws_security_group.service.id
  description                  = "From the load balancer: ${each.key}"
  referenced_security_group_id = var.load_balancer.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

# The load balancer's own security group lets nothing out but this.
resource "aws_vpc_security_group_egress_rule" "load_balancer" {
  for_each                     = local.load_balancer_ports
  security_group_id            = var.load_balancer.security_group_id
  description                  = "To ${var.task.name}: ${each.key}"
  referenced_security_group_id = aws_security_group.service.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_ecs_service" "service" {
  # checkov:skip=CKV_AWS_333:Public addresses only where the caller says so, for subnets without a NAT gateway; the security group lets nobody in but the load balancer
  name                              = var.task.name
  cluster                           = var.cluster.arn
  task_definition                   = var.task.task_definition_arn
  desired_count                     = var.tasks.min
  platform_version                  = "LATEST"
  propagate_tags                    = "SERVICE"
  enable_ecs_managed_tags           = true
  health_check_grace_period_seconds = var.load_balancer == null ? null : 60
  tags                              = var.tags

  # New tasks stand before old ones go, so that a release or a new key costs no request.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  capacity_provider_strategy {
    capacity_provider = var.spot ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
  }

  network_configuration {
    subnets          = var.network.task_subnet_ids
    security_groups  = [aws_security_group.service.id]
    assign_public_ip = var.network.assign_public_ip
  }

  dynamic "load_balancer" {
    for_each = var.load_balancer == null ? [] : [var.load_balancer]
    content {
      target_group_arn = load_balancer.value.target_group_arn
      container_name   = var.task.name
      container_port   = load_balancer.value.port
    }
  }

  lifecycle {
    # Autoscaling's to decide.
    ignore_changes = [desired_count]
  }
}
