output "security_group_id" {
  description = "Security group of the task."
  value       = aws_security_group.task.id
}

output "missed_queue_name" {
  description = "Name of the queue that is told of runs that could not be started."
  value       = aws_sqs_queue.missed.name
}
