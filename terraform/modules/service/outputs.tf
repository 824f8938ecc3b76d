output "name" {
  description = "Name of the service."
  value       = aws_ecs_service.service.name
}

output "security_group_id" {
  description = "Security group of the tasks."
  value       = aws_security_group.service.id
}

output "task_definition_arn" {
  description = "ARN of the task definition, with its revision."
  value       = module.task.task_definition_arn
}

output "role_name" {
  description = "Name of the role under which the service acts."
  value       = module.task.role_name
}

output "log_group_name" {
  description = "Name of the log group."
  value       = module.task.log_group_name
}
