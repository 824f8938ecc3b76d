variable "name" {
  description = "Name of the VPC, and what its parts' names begin with."
  type        = string
  nullable    = false
}

variable "cidr" {
  description = "IPv4 range of the VPC; a sixteenth goes to each subnet."
  type        = string
  default     = "10.40.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("/(1[6-9]|2[0-4])$", var.cidr))
    error_message = "An IPv4 range of /16 to /24, such as 10.40.0.0/16."
  }
}

variable "zones" {
  description = "Number of availability zones."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.zones >= 2 && var.zones <= 6
    error_message = "2 to 6: a load balancer needs two."
  }
}

variable "private" {
  description = "Whether there are private subnets, each with a NAT gateway in its zone."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
