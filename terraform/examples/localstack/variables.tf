variable "endpoint" {
  description = "Where LocalStack listens."
  type        = string
  default     = "http://127.0.0.1:4566"
  nullable    = false
}

variable "queue_name" {
  description = "Name of the queue of events (QUEUE_NAME)."
  type        = string
  default     = "headwater-events"
  nullable    = false
}

variable "dlq_name" {
  description = "Name of the dead-letter queue (DLQ_NAME)."
  type        = string
  default     = "headwater-events-dlq"
  nullable    = false
}

variable "lake_bucket" {
  description = "Name of the bucket (LAKE_BUCKET)."
  type        = string
  default     = "headwater-lake"
  nullable    = false
}
