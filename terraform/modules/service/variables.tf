variable "name" {
  description = "Name of the service, its tasks, roles, security group and log group."
  type        = string
  nullable    = false
}

variable "image" {
  description = "The image, with a tag or digest."
  type        = string
  nullable    = false
}

variable "command" {
  description = "Arguments of the image's program; none runs it bare."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "health_command" {
  description = "Command in the container that exits 0 while the service is ready."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.health_command) > 0
    error_message = "A service needs a health check, or ECS takes a task that hangs for a healthy one."
  }
}

variable "cpu" {
  description = "CPU units of a task; 1024 are a vCPU."
  type        = number
  nullable    = false
}

variable "memory" {
  description = "Memory of a task in MiB."
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

variable "secrets" {
  description = "ARNs of Secrets Manager secrets, by the name of the environment variable that gets the value when a task starts."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "policy_json" {
  description = "Policy of what the service may do."
  type        = string
  nullable    = false
}

variable "cluster" {
  description = "The ECS cluster, with Container Insights and the capacity providers FARGATE and FARGATE_SPOT."
  type        = object({ arn = string, name = string })
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Subnets of the tasks, in two availability zones or more."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Two subnets at least, in different availability zones."
  }
}

variable "assign_public_ip" {
  description = "Whether tasks get public addresses: needed in subnets that reach AWS through an internet gateway alone."
  type        = bool
  default     = false
  nullable    = false
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

variable "tasks" {
  description = "Fewest and most tasks."
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 4 }
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

variable "stop_timeout_seconds" {
  description = "Time between SIGTERM and SIGKILL, in seconds; longer than the service's SHUTDOWN_GRACE."
  type        = number
  default     = 30
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
