output "name" {
  description = "Name of the service."
  value       = aws_ecs_service.service.name
}

output "security_group_id" {
  description = "Security group of the tasks."
  value       = aws_security_group.service.id
}
