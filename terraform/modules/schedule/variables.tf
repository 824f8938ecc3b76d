variable "task" {
  description = "What the module `task` gives: the task that is started."
  type = object({
    name                = string
    task_definition_arn = string
    role_arns           = list(string)
  })
  nullable = false
}

variable "schedule_expression" {
  description = "When a run starts, in UTC."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(cron|rate)\\(.+\\)$", var.schedule_expression))
    error_message = "An expression of EventBridge Scheduler, such as cron(5 * * * ? *) or rate(15 minutes)."
  }
}

variable "enabled" {
  description = "Whether runs are started. Off while hours are made anew with `aggregator rebuild`."
  type        = bool
  nullable    = false
}

variable "cluster" {
  description = "The ECS cluster."
  type        = object({ arn = string, name = string })
  nullable    = false
}

variable "network" {
  description = "Where tasks run, as the deployment is told."
  type = object({
    vpc_id           = string
    task_subnet_ids  = list(string)
    assign_public_ip = bool
  })
  nullable = false
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
