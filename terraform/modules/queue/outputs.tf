output "name" {
  description = "Name of the queue of events."
  value       = aws_sqs_queue.events.name
}

output "arn" {
  description = "ARN of the queue of events."
  value       = aws_sqs_queue.events.arn
}

output "url" {
  description = "URL of the queue of events."
  value       = aws_sqs_queue.events.id
}

output "dlq_name" {
  description = "Name of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.name
}

output "dlq_arn" {
  description = "ARN of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.arn
}

output "dlq_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.id
}
