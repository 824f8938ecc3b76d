variable "name" {
  description = "Name of the task, its roles, log group and schedule."
  type        = string
  nullable    = false
}

variable "image" {
  description = "The aggregator's image, with a tag or digest."
  type        = string
  nullable    = false
}

variable "schedule_expression" {
  description = "When a run starts, in UTC: five past each hour by default, when the last hour's events have arrived but for the late ones."
  type        = string
  default     = "cron(5 * * * ? *)"
  nullable    = false

  validation {
    condition     = can(regex("^(cron|rate)\\(.+\\)$", var.schedule_expression))
    error_message = "An expression of EventBridge Scheduler, such as cron(5 * * * ? *) or rate(15 minutes)."
  }
}

variable "enabled" {
  description = "Whether runs are started. Off while hours are made anew with `aggregator rebuild`."
  type        = bool
  default     = true
  nullable    = false
}

variable "cpu" {
  description = "CPU units; 1024 are a vCPU."
  type        = number
  nullable    = false
}

variable "memory" {
  description = "Memory in MiB. MEMORY_LIMIT bounds the rows that a run holds; an hour's aggregates come on top."
  type        = number
  nullable    = false
}

variable "writable_folder" {
  description = "Folder in the container that the program may write to, on the task's own disk; null for none. The image names it as a VOLUME that its user owns."
  type        = string
  default     = null
}

variable "disk_gib" {
  description = "Disk of the task in GiB, of which the image takes some; null for Fargate's own 20."
  type        = number
  default     = null
}

variable "cpu_architecture" {
  description = "What the image was built for: ARM64 or X86_64."
  type        = string
  default     = "ARM64"
  nullable    = false
}

variable "environment" {
  description = "Settings, by the name of their environment variable."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "policy_json" {
  description = "Policy of what the aggregator may do."
  type        = string
  nullable    = false
}

variable "cluster" {
  description = "The ECS cluster."
  type        = object({ arn = string, name = string })
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Subnets of the task."
  type        = list(string)
  nullable    = false
}

variable "assign_public_ip" {
  description = "Whether the task gets a public address: needed in subnets that reach AWS through an internet gateway alone."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the log."
  type        = number
  default     = 30
  nullable    = false
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
