variable "task" {
  description = "What the module `task` gives: the task that is kept running."
  type = object({
    name                = string
    task_definition_arn = string
    has_health_check    = bool
  })
  nullable = false

  validation {
    condition     = var.task.has_health_check
    error_message = "A service needs a health check, or ECS takes a task that hangs for a healthy one."
  }
}

variable "cluster" {
  description = "The ECS cluster, with Container Insights and the capacity providers FARGATE and FARGATE_SPOT."
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

variable "load_balancer" {
  description = "Who sends requests to the tasks, and to which port, and which port it asks for their health; none for a service that nobody calls. `resource_label` is what ALBRequestCountPerTarget knows the pair of load balancer and target group by."
  type = object({
    target_group_arn  = string
    security_group_id = string
    resource_label    = string
    port              = number
    admin_port        = number
  })
  default = null
}

variable "egress_ports" {
  description = "TCP ports beside 443 that the tasks may reach, anywhere."
  type        = list(number)
  default     = []
  nullable    = false
}

variable "tasks" {
  description = "Fewest and most tasks."
  type        = object({ min = number, max = number })
  nullable    = false

  validation {
    condition     = var.tasks.min >= 1 && var.tasks.max >= var.tasks.min
    error_message = "At least one task, and the most not below the fewest."
  }
}

variable "spot" {
  description = "Whether tasks run on Fargate Spot: cheaper, ended with two minutes' notice, and not always to be had."
  type        = bool
  default     = false
  nullable    = false
}

variable "scaling" {
  description = "What decides the number of tasks: average CPU in per cent, requests a minute for each task, messages that wait in a queue for each task."
  type = object({
    cpu_percent         = optional(number)
    requests_per_minute = optional(number)
    backlog             = optional(object({ queue_name = string, messages_per_task = number }))
  })
  nullable = false

  validation {
    condition     = var.scaling.cpu_percent == null ? true : var.scaling.cpu_percent >= 10 && var.scaling.cpu_percent <= 90
    error_message = "CPU from 10 to 90 per cent."
  }

  validation {
    condition     = var.scaling.requests_per_minute == null ? true : var.load_balancer != null && var.scaling.requests_per_minute >= 1
    error_message = "Requests are counted by a load balancer: give `load_balancer`, and a target of 1 or more."
  }

  validation {
    condition     = var.scaling.backlog == null ? true : var.scaling.backlog.messages_per_task >= 1
    error_message = "A backlog of 1 message for each task or more."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
