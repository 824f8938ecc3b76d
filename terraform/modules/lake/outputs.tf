output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.lake.id
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.lake.arn
}
