variable "region" {
  description = "AWS region, such as eu-central-1."
  type        = string
  nullable    = false
}

variable "account_id" {
  description = "The account that this is for, 12 digits: with credentials of another, nothing is done."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "12 digits, as `aws sts get-caller-identity` prints them."
  }
}

variable "environment" {
  description = "What the tag Environment says, such as production."
  type        = string
  default     = "production"
  nullable    = false
}

variable "name" {
  description = "Name of the deployment: what all names begin with."
  type        = string
  default     = "headwater"
  nullable    = false
}

variable "vpc_cidr" {
  description = "IPv4 range of the VPC; apart from others that it is to be connected with."
  type        = string
  default     = "10.40.0.0/16"
  nullable    = false
}

variable "images" {
  description = "Image of each service; by digest, so that what was tested is what runs."
  type = object({
    ingest         = string
    batch_consumer = string
    aggregator     = string
    query          = optional(string)
    alerts         = optional(string)
  })
  nullable = false
}

variable "cpu_architecture" {
  description = "What the images were built for: ARM64 or X86_64."
  type        = string
  default     = "ARM64"
  nullable    = false
}

variable "api_keys_secret_arn" {
  description = "ARN of the secret that holds the API keys."
  type        = string
  nullable    = false
}

variable "named_keys_secret_arn" {
  description = "ARN of the secret whose text is a file of keys with names, scopes and limits; null for none."
  type        = string
  default     = null
}

variable "read_keys_secret_arn" {
  description = "ARN of the secret that holds the keys of readers; with it query and alerts run, where their images are given."
  type        = string
  default     = null
}

variable "alerts" {
  description = "Rules and receivers of the service alerts: folder in its image, secrets and ports of receivers, as the module describes them."
  type = object({
    rules          = optional(string)
    secrets        = optional(map(string), {})
    receiver_ports = optional(list(number), [])
    external_url   = optional(string)
  })
  default  = {}
  nullable = false
}

variable "domain" {
  description = "Name for clients and its Route 53 zone."
  type        = object({ name = string, zone_id = string })
  nullable    = false
}

variable "access_logs_bucket" {
  description = "Bucket for the load balancer's access logs; null for none."
  type        = string
  default     = null
}

variable "contracts" {
  description = "Folder in the images with declarations of further kinds; null where there are none."
  type        = string
  default     = null
}

variable "kinds" {
  description = "Those kinds for Athena's tables, as the module `catalog` describes them."
  type = map(object({
    entity_field  = string
    time_field    = string
    signals_field = optional(string)
    fields        = optional(list(object({ name = string, type = string })), [])
    signals       = optional(list(object({ name = string, type = string, unit = optional(string) })), [])
  }))
  default  = {}
  nullable = false
}

variable "alarm_emails" {
  description = "Addresses that are told of alarms; at least one."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.alarm_emails) > 0
    error_message = "An alarm that nobody hears is none."
  }
}

variable "monthly_budget_usd" {
  description = "Budget of the account for a month, in US dollars."
  type        = number
  nullable    = false
}
