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

variable "alerts" {
  description = "What CloudWatch knows the target group of `alerts` by (its `arn_suffix`), and the log group of its task; null where it does not run."
  type        = object({ target_group = string, log_group = string })
  default     = null
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the services' own metrics (their METRICS_NAMESPACE)."
  type        = string
  nullable    = false
}

variable "alarms" {
  description = <<-EOT
    When alarms go off:
    - max_queue_age_seconds: age of the oldest message, in seconds;
    - max_queue_latency_seconds: 95th percentile of the time from ingest to the lake, in seconds;
    - max_server_errors_per_minute: 5xx answers a minute, where three minutes of five have more;
    - dead_letter_flood: dead letters in five minutes;
    - max_hours_without_run: hours without an ended run of the aggregator;
    - max_aggregator_lag_seconds: age of the oldest raw object that no commit has taken in; more than the time between two runs;
    - max_commit_hours: event hours of one commit of the aggregator, kind by kind;
    - max_undeclared_names: undeclared names of a kind; less than the `signals.max_undeclared` (512) of your declarations;
    - expect_events: whether events come day and night, so that ten minutes without any are an alarm;
    - runbook: where the runbook is, for the alarms' descriptions: a path in this repository, or the address at which you show it.
  EOT
  type = object({
    max_queue_age_seconds        = number
    max_queue_latency_seconds    = number
    max_server_errors_per_minute = number
    dead_letter_flood            = number
    max_hours_without_run        = number
    max_aggregator_lag_seconds   = number
    max_commit_hours             = number
    max_undeclared_names         = number
    expect_events                = bool
    runbook                      = string
  })
  nullable = false

  validation {
    condition     = var.alarms.max_hours_without_run >= 1 && var.alarms.max_hours_without_run <= 24 && floor(var.alarms.max_hours_without_run) == var.alarms.max_hours_without_run
    error_message = "max_hours_without_run is 1 to 24 whole hours: CloudWatch looks back a day."
  }
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
