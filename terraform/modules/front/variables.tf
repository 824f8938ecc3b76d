variable "name" {
  description = "Name of the load balancer and its target group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,30}[A-Za-z0-9]$", var.name)) && !startswith(var.name, "internal-")
    error_message = "2 to 32 letters, digits and hyphens, no hyphen at the ends: load balancers have no longer names."
  }
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Subnets of the load balancer, in two availability zones or more; public ones unless it is `internal`."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "A load balancer needs two subnets at least, in different availability zones."
  }
}

variable "internal" {
  description = "Whether only the VPC and what is connected to it reaches the load balancer."
  type        = bool
  default     = false
  nullable    = false
}

variable "allowed_cidrs" {
  description = "Who may reach the load balancer. Anyone by default: devices are anywhere, and each request needs a key."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  nullable    = false

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "IPv4 ranges, such as 203.0.113.0/24."
  }
}

variable "port" {
  description = "Port that ingest listens on."
  type        = number
  default     = 3000
  nullable    = false
}

variable "admin_port" {
  description = "Port on which ingest serves its probes, for the health check."
  type        = number
  default     = 9100
  nullable    = false
}

variable "query" {
  description = "Ports on which the service `query` answers and serves its probes; null where it does not run."
  type        = object({ port = number, admin_port = number })
  default     = null
}

variable "query_paths" {
  description = "Paths that the service `query` answers: they go there before `public_paths` go to ingest."
  type        = list(string)
  default     = ["/query", "/v1/sql", "/v1/top", "/v1/latest", "/v1/entities", "/v1/kinds", "/v1/live", "/v1/lake*", "/console*"]
  nullable    = false
}

variable "alerts" {
  description = "Ports on which the service `alerts` answers and serves its probes; null where it does not run."
  type        = object({ port = number, admin_port = number })
  default     = null
}

variable "alerts_paths" {
  description = "Paths that the service `alerts` answers, those of Prometheus and Alertmanager."
  type        = list(string)
  default     = ["/api/v1/*", "/api/v2/*"]
  nullable    = false

  validation {
    condition     = length(var.alerts_paths) >= 1 && length(var.alerts_paths) <= 5
    error_message = "One to five: a rule of a load balancer holds five values."
  }
}

variable "public_paths" {
  description = "Paths that clients may ask for; anything else is answered 404 by the load balancer itself."
  type        = list(string)
  default     = ["/v1/*", "/health", "/openapi.json"]
  nullable    = false

  validation {
    condition     = length(var.public_paths) >= 1 && length(var.public_paths) <= 5
    error_message = "One to five: a rule of a load balancer holds five values."
  }
}

variable "domain" {
  description = "Name for the load balancer and the Route 53 zone that it lies in; certificate and record are made. Null where `certificate_arn` is given."
  type        = object({ name = string, zone_id = string })
  default     = null
}

variable "certificate_arn" {
  description = "ARN of an ACM certificate of the load balancer's region. Null where `domain` is given."
  type        = string
  default     = null

  validation {
    condition     = (var.certificate_arn == null) != (var.domain == null)
    error_message = "Give one of `domain` and `certificate_arn`, not both."
  }
}

variable "access_logs_bucket" {
  description = "Bucket for the load balancer's access logs, with a policy that lets it write there; null for none."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the load balancer refuses to be deleted. Set it to false, apply, and then destroy."
  type        = bool
  default     = true
  nullable    = false
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
