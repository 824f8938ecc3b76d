variable "name" {
  description = "What the names of alarms, topic, budget and dashboard begin with."
  type        = string
  nullable    = false
}

variable "emails" {
  description = "Addresses that are told of alarms. Each gets a message first, with a link to confirm."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "Addresses, such as someone@example.com."
  }
}

variable "queue_name" {
  description = "Name of the queue of events."
  type        = string
  nullable    = false
}

variable "dlq_name" {
  description = "Name of the dead-letter queue."
  type        = string
  nullable    = false
}

variable "missed_runs_queue_name" {
  description = "Name of the queue that is told of runs of the aggregator that could not be started."
  type        = string
  nullable    = false
}

variable "load_balancer" {
  description = "What CloudWatch knows the load balancer by (its `arn_suffix`)."
  type        = string
  nullable    = false
}

variable "target_group" {
  description = "What CloudWatch knows ingest's target group by (its `arn_suffix`)."
  type        = string
  nullable    = false
}

variable "cluster_name" {
  description = "Name of the ECS cluster."
  type        = string
  nullable    = false
}

variable "services" {
  description = "Names of the ECS services, for the dashboard."
  type        = list(string)
  nullable    = false
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the services' own metrics (their METRICS_NAMESPACE)."
  type        = string
  nullable    = false
}

variable "max_queue_age_seconds" {
  description = "Age of the oldest message past which the alarm goes off, in seconds."
  type        = number
  default     = 300
  nullable    = false
}

variable "max_queue_latency_seconds" {
  description = "95th percentile of the time from ingest to the lake past which the alarm goes off, in seconds."
  type        = number
  default     = 60
  nullable    = false
}

variable "max_server_errors_per_minute" {
  description = "5xx answers a minute past which the alarm goes off, where three minutes of five have more."
  type        = number
  default     = 5
  nullable    = false
}

variable "dead_letter_flood" {
  description = "Dead letters in five minutes past which the second alarm goes off."
  type        = number
  default     = 100
  nullable    = false
}

variable "max_hours_without_run" {
  description = "Hours without an ended run of the aggregator after which it counts as late."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.max_hours_without_run >= 1 && var.max_hours_without_run <= 24 && floor(var.max_hours_without_run) == var.max_hours_without_run
    error_message = "1 to 24 whole hours: CloudWatch looks back a day."
  }
}

variable "max_aggregator_lag_seconds" {
  description = "Age of the oldest raw object that no commit has taken in past which the alarm goes off, in seconds; more than the time between two runs."
  type        = number
  default     = 10800
  nullable    = false
}

variable "max_commit_hours" {
  description = "Event hours of one commit of the aggregator, kind by kind, past which the alarm goes off."
  type        = number
  default     = 500
  nullable    = false
}

variable "max_undeclared_names" {
  description = "Undeclared names of a kind past which the alarm goes off; less than the `signals.max_undeclared` (512) of your declarations."
  type        = number
  default     = 400
  nullable    = false
}

variable "expect_events" {
  description = "Whether events come day and night, so that ten minutes without any are an alarm."
  type        = bool
  default     = true
  nullable    = false
}

variable "runbook" {
  description = "Where the runbook is, for the alarms' descriptions: a path in this repository, or the address at which you show it."
  type        = string
  default     = "docs/runbook.md"
  nullable    = false
}

variable "monthly_budget_usd" {
  description = "Budget of the account for a month, in US dollars: told of at 80 % spent and at 100 % forecast. Null for none."
  type        = number
  default     = null

  validation {
    condition     = var.monthly_budget_usd == null ? true : var.monthly_budget_usd > 0
    error_message = "More than nothing."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
