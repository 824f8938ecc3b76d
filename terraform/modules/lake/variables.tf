variable "bucket_name" {
  description = "Name of the bucket (LAKE_BUCKET of the services); no other bucket in the world may have it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "A bucket's name here is 3 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends. No dots: TLS certificates do not cover them."
  }
}

variable "raw_retention_days" {
  description = "Days after which raw/ objects expire. `aggregator rebuild` needs them, so an hour can be made anew for this long."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.raw_retention_days >= 3 && floor(var.raw_retention_days) == var.raw_retention_days
    error_message = "At least 3 whole days: the aggregator looks back two days at each run, and may have been down before it."
  }
}

variable "curated_infrequent_days" {
  description = "Days after which curated/ objects move to infrequent access. Those under 128 KB stay where they are, as S3 does unless told otherwise."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.curated_infrequent_days >= 30 && floor(var.curated_infrequent_days) == var.curated_infrequent_days
    error_message = "S3 takes 30 days or more for infrequent access."
  }
}

variable "curated_archive_days" {
  description = "Days after which curated/ objects move on to Glacier Instant Retrieval."
  type        = number
  default     = 180
  nullable    = false

  validation {
    condition     = var.curated_archive_days >= var.curated_infrequent_days + 30 && floor(var.curated_archive_days) == var.curated_archive_days
    error_message = "At least 30 days after curated_infrequent_days: infrequent access is billed for 30 days at least."
  }
}

variable "noncurrent_days" {
  description = "Days for which an object that was deleted or overwritten can still be restored. Not raw/: what expires there is gone a day later."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "At least one whole day."
  }
}

variable "letters_retention_days" {
  description = "Days after which _letters/ objects expire: the whole of messages whose dead letter, which SQS keeps for 14 days, holds the beginning alone."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.letters_retention_days >= 14 && floor(var.letters_retention_days) == var.letters_retention_days
    error_message = "At least 14 whole days: so long may a dead letter wait to be looked at."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with all events in it. Set it, apply, and then destroy."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
