variable "region" {
  description = "AWS region, such as eu-central-1."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the deployment: what all names begin with."
  type        = string
  default     = "headwater"
  nullable    = false
}

variable "images" {
  description = "Image of each service, with a tag or digest."
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
  description = "Name for clients and its Route 53 zone; null where `certificate_arn` is given."
  type        = object({ name = string, zone_id = string })
  default     = null
}

variable "certificate_arn" {
  description = "ARN of a certificate in ACM; null where `domain` is given."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Addresses that are told of alarms."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "monthly_budget_usd" {
  description = "Budget of the account for a month, in US dollars; null for none."
  type        = number
  default     = null
}

variable "destroy_lake" {
  description = "Whether `terraform destroy` deletes the lake with all its events. Set it and apply before you destroy."
  type        = bool
  default     = false
  nullable    = false
}
