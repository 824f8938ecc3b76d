output "task_definition_arn" {
  description = "ARN of the task definition, with its revision."
  value       = module.task.task_definition_arn
}

output "family" {
  description = "Name of the task definition without a revision."
  value       = module.task.family
}

output "security_group_id" {
  description = "Security group of the task."
  value       = aws_security_group.task.id
}

output "role_name" {
  description = "Name of the role under which the aggregator acts."
  value       = module.task.role_name
}

output "missed_queue_name" {
  description = "Name of the queue that is told of runs that could not be started."
  value       = aws_sqs_queue.missed.name
}

output "log_group_name" {
  description = "Name of the log group."
  value       = module.task.log_group_name
}
