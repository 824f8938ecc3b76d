output "queue_url" {
  description = "URL of the queue of events."
  value       = module.queue.url
}

output "dlq_url" {
  description = "URL of the dead-letter queue."
  value       = module.queue.dlq_url
}

output "lake_bucket" {
  description = "Name of the bucket."
  value       = module.lake.bucket
}
