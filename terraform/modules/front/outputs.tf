output "dns_name" {
  description = "The load balancer's own name: what a name outside Route 53 must point to."
  value       = aws_lb.front.dns_name
}

output "url" {
  description = "Where clients send events. Without `domain`, the name on the certificate must lead here instead."
  value       = var.domain == null ? "https://${aws_lb.front.dns_name}" : "https://${var.domain.name}"
}

output "query" {
  description = "ARN of query's target group, known once requests are forwarded to it, and what ALBRequestCountPerTarget knows the pair by; null where it does not run."
  value = var.query == null ? null : {
    target_group_arn = aws_lb_listener_rule.query[0].action[0].target_group_arn
    resource_label   = "${aws_lb.front.arn_suffix}/${aws_lb_target_group.query[0].arn_suffix}"
  }
}

output "alerts" {
  description = "ARN of the target group of `alerts`, known once requests are forwarded to it, what ALBRequestCountPerTarget knows the pair by, and what CloudWatch knows the target group by; null where it does not run."
  value = var.alerts == null ? null : {
    target_group_arn        = aws_lb_listener_rule.alerts[0].action[0].target_group_arn
    resource_label          = "${aws_lb.front.arn_suffix}/${aws_lb_target_group.alerts[0].arn_suffix}"
    target_group_arn_suffix = aws_lb_target_group.alerts[0].arn_suffix
  }
}

output "target_group_arn" {
  description = "ARN of ingest's target group. Known once requests are forwarded to it, which a service must wait for."
  value       = aws_lb_listener_rule.public.action[0].target_group_arn
}

output "security_group_id" {
  description = "Security group of the load balancer."
  value       = aws_security_group.front.id
}

output "resource_label" {
  description = "What the metric ALBRequestCountPerTarget knows load balancer and target group by."
  value       = "${aws_lb.front.arn_suffix}/${aws_lb_target_group.ingest.arn_suffix}"
}

output "arn_suffix" {
  description = "What CloudWatch knows the load balancer by."
  value       = aws_lb.front.arn_suffix
}

output "target_group_arn_suffix" {
  description = "What CloudWatch knows the target group by."
  value       = aws_lb_target_group.ingest.arn_suffix
}

output "load_balancer_arn" {
  description = "ARN of the load balancer, to attach a web ACL to."
  value       = aws_lb.front.arn
}
