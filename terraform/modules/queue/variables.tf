variable "name" {
  description = "Name of the queue of events (QUEUE_NAME of the services)."
  type        = string
  default     = "headwater-events"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}$", var.name))
    error_message = "A standard queue's name is 1 to 80 letters, digits, hyphens and underscores."
  }
}

variable "dlq_name" {
  description = "Name of the dead-letter queue (DLQ_NAME of the services)."
  type        = string
  default     = "headwater-events-dlq"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}$", var.dlq_name)) && var.dlq_name != var.name
    error_message = "A standard queue's name is 1 to 80 letters, digits, hyphens and underscores, and the two queues' names differ."
  }
}

variable "visibility_timeout_seconds" {
  description = "How long a message that was received stays hidden, in seconds. The consumer asks for its own VISIBILITY_TIMEOUT at each receive; this one holds for anyone else."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.visibility_timeout_seconds >= 1 && var.visibility_timeout_seconds <= 43200
    error_message = "SQS takes 1 s to 12 h (43200)."
  }
}

variable "max_receive_count" {
  description = "Deliveries of a message after which it goes to the dead-letter queue."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 2 && var.max_receive_count <= 1000
    error_message = "From 2 to 1000: with 1, every consumer that is stopped in the middle of a batch would fill the dead-letter queue."
  }
}

variable "retention_seconds" {
  description = "How long both queues keep a message, in seconds. The default is SQS's maximum, 14 days."
  type        = number
  default     = 1209600
  nullable    = false

  validation {
    condition     = var.retention_seconds >= 60 && var.retention_seconds <= 1209600
    error_message = "SQS takes 60 s to 14 days (1209600)."
  }
}

variable "receive_wait_seconds" {
  description = "How long a receive waits for a message unless it says otherwise, in seconds. An empty receive is billed too."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.receive_wait_seconds >= 0 && var.receive_wait_seconds <= 20
    error_message = "SQS takes 0 to 20 s."
  }
}

variable "tags" {
  description = "Tags of the queues."
  type        = map(string)
  default     = {}
  nullable    = false
}
