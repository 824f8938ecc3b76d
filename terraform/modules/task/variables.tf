variable "name" {
  description = "Name of the task definition's family, its container, roles and log group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{1,52}$", var.name))
    error_message = "2 to 53 letters, digits and hyphens, a letter first: with `-execution` behind it, it is a role's name."
  }
}

variable "image" {
  description = "The image, with a tag or digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("[^/]+/.+(:[A-Za-z0-9_][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name registry, repository and a tag or digest other than `latest`, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/headwater/ingest:v1.0.0: tasks that start later must run the same program."
  }
}

variable "command" {
  description = "Arguments of the image's program; none runs it bare."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "health_command" {
  description = "Command in the container that exits 0 while the service is ready; none for a task that ends by itself."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "port" {
  description = "Port that the service listens on; none where nobody calls it."
  type        = number
  default     = null
}

variable "cpu" {
  description = "CPU units; 1024 are a vCPU."
  type        = number
  nullable    = false

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384."
  }
}

variable "memory" {
  description = "Memory in MiB."
  type        = number
  nullable    = false

  validation {
    condition     = var.memory >= 512 && var.memory >= var.cpu * 2 && var.memory <= max(var.cpu * 8, 2048)
    error_message = "Fargate takes 2 to 8 times the CPU units, and 512 to 2048 MiB for 256 units."
  }
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

  validation {
    condition     = var.disk_gib == null ? true : var.disk_gib >= 21 && var.disk_gib <= 200 && floor(var.disk_gib) == var.disk_gib
    error_message = "Fargate takes 21 to 200 whole GiB."
  }
}

variable "cpu_architecture" {
  description = "What the image was built for."
  type        = string
  default     = "ARM64"
  nullable    = false

  validation {
    condition     = contains(["ARM64", "X86_64"], var.cpu_architecture)
    error_message = "ARM64 or X86_64."
  }
}

variable "environment" {
  description = "Settings, by the name of their environment variable."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "secrets" {
  description = "ARNs of the Secrets Manager secrets that are read when a task starts, by the name of the environment variable that gets the value."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "policy_json" {
  description = "Policy of what the service may do."
  type        = string
  nullable    = false
}

variable "stop_timeout_seconds" {
  description = "Time between SIGTERM and SIGKILL, in seconds; longer than the service's SHUTDOWN_GRACE."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.stop_timeout_seconds >= 2 && var.stop_timeout_seconds <= 120
    error_message = "Fargate takes 2 to 120 s."
  }
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the log."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch has 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 and some longer ones."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
