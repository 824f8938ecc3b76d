output "name" {
  description = "Name of the task, its container, roles and log group."
  value       = var.name
}

output "has_health_check" {
  description = "Whether ECS asks the container for its health."
  value       = length(var.health_command) > 0
}

output "task_definition_arn" {
  description = "ARN of the task definition, with its revision."
  value       = aws_ecs_task_definition.task.arn
}

output "family" {
  description = "Name of the task definition without a revision."
  value       = aws_ecs_task_definition.task.family
}

output "role_arns" {
  description = "The roles that whoever runs the task passes to it."
  value       = [aws_iam_role.task.arn, aws_iam_role.execution.arn]
}

output "role_name" {
  description = "Name of the role under which the service acts."
  value       = aws_iam_role.task.name
}

output "log_group_name" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.task.name
}
