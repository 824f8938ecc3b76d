variable "name" {
  description = "Name of the deployment: what the names of all its resources begin with. Two in one account and region need two names; their own metrics share a namespace."
  type        = string
  default     = "headwater"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "3 to 24 lower-case letters, digits and hyphens, a letter first and no hyphen last: bucket, roles and load balancer have it in their names."
  }
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
  description = "What the images were built for: ARM64 (cheaper) or X86_64."
  type        = string
  default     = "ARM64"
  nullable    = false
}

variable "network" {
  description = "Where things run: the VPC, public subnets for the load balancer (private ones if it is `internal`), and subnets for the tasks. Tasks must reach AWS: by NAT, by VPC endpoints, or, in public subnets, with `assign_public_ip`."
  type = object({
    vpc_id                   = string
    load_balancer_subnet_ids = list(string)
    task_subnet_ids          = list(string)
    assign_public_ip         = optional(bool, false)
  })
  nullable = false

  validation {
    condition     = length(var.network.task_subnet_ids) >= 2
    error_message = "Two subnets for the tasks at least, in different availability zones."
  }
}

variable "api_keys_secret_arn" {
  description = "ARN of the Secrets Manager secret whose text is API_KEYS: keys of 8 characters or more, separated by commas. Tasks read it when they start."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+$", var.api_keys_secret_arn))
    error_message = "The whole ARN, as `aws secretsmanager create-secret` prints it, with the six characters that AWS adds to the name."
  }
}

variable "named_keys_secret_arn" {
  description = "ARN of the Secrets Manager secret whose text is a file of keys with names, scopes and limits, as `headwater keys new` writes it: ingest, `query` and `alerts` take these keys beside those without a name. Tasks read it when they start. Null for none."
  type        = string
  default     = null

  validation {
    condition     = var.named_keys_secret_arn == null ? true : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+$", var.named_keys_secret_arn))
    error_message = "The whole ARN, as `aws secretsmanager create-secret` prints it, with the six characters that AWS adds to the name."
  }
}

variable "read_keys_secret_arn" {
  description = "ARN of the Secrets Manager secret whose text is READ_KEYS, as for `api_keys_secret_arn`: with it the services `query` and `alerts` run, each where its image is given. Null for neither."
  type        = string
  default     = null

  validation {
    condition     = var.read_keys_secret_arn == null ? true : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+$", var.read_keys_secret_arn))
    error_message = "The whole ARN, as `aws secretsmanager create-secret` prints it, with the six characters that AWS adds to the name."
  }

  validation {
    condition     = var.read_keys_secret_arn == null || var.images.query != null || var.images.alerts != null
    error_message = "Give `images.query` or `images.alerts` too: the images of the services that read these keys."
  }

  # Not at `images`: two variables that check each other are a circle.
  validation {
    condition     = var.read_keys_secret_arn != null || var.images.alerts == null
    error_message = "Give the keys too, or no `images.alerts`: the service answers nobody without a key."
  }
}

variable "domain" {
  description = "Name for clients and the Route 53 zone that it lies in: certificate and record are made. Null where `certificate_arn` is given."
  type        = object({ name = string, zone_id = string })
  default     = null
}

variable "certificate_arn" {
  description = "ARN of an ACM certificate in the same region, where the name is not in Route 53; the name must then be led to the output `load_balancer_dns_name`. Null where `domain` is given."
  type        = string
  default     = null

  validation {
    condition     = (var.certificate_arn == null) != (var.domain == null)
    error_message = "Give one of `domain` and `certificate_arn`, not both."
  }
}

variable "allowed_cidrs" {
  description = "IPv4 ranges that may reach the load balancer. Anyone by default: devices are anywhere, and each request needs a key."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  nullable    = false
}

variable "internal" {
  description = "Whether only the VPC and what is connected to it reaches the load balancer."
  type        = bool
  default     = false
  nullable    = false
}

variable "access_logs_bucket" {
  description = "Bucket for the load balancer's access logs, with a policy that lets it write there; null for none."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Whether the load balancer refuses to be deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "contracts" {
  description = "Folder in the images with declarations of further kinds (CONTRACTS); null where there are none. All images must hold the same ones."
  type        = string
  default     = null
}

variable "lake" {
  description = "The bucket: its name (made from name, account and region unless given), how long raw/ and the whole of dead letters (_letters/) are kept, when curated/ grows cold, and whether `terraform destroy` deletes it with all its events."
  type = object({
    bucket_name             = optional(string)
    raw_retention_days      = optional(number, 7)
    letters_retention_days  = optional(number, 90)
    curated_infrequent_days = optional(number, 30)
    curated_archive_days    = optional(number, 180)
    force_destroy           = optional(bool, false)
  })
  default  = {}
  nullable = false
}

variable "ingest" {
  description = "Size and number of ingest's tasks, what decides the number, and further settings by their environment variable. Memory holds MAX_PENDING_BYTES (32 MiB) several times over."
  type = object({
    cpu                        = optional(number, 512)
    memory                     = optional(number, 1024)
    min_tasks                  = optional(number, 2)
    max_tasks                  = optional(number, 10)
    target_cpu_percent         = optional(number, 60)
    target_requests_per_minute = optional(number, 30000)
    spot                       = optional(bool, false)
    settings                   = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.ingest.settings) : !contains(["QUEUE_NAME", "DLQ_NAME", "LISTEN", "METRICS_LISTEN", "API_KEYS", "KEYS_TEXT", "CREATE", "METRICS", "METRICS_NAMESPACE", "AWS_REGION", "CONTRACTS"], name)])
    error_message = "QUEUE_NAME, DLQ_NAME, LISTEN, METRICS_LISTEN, API_KEYS, KEYS_TEXT, CREATE, METRICS, METRICS_NAMESPACE, AWS_REGION and CONTRACTS are set by this module."
  }
}

variable "batch_consumer" {
  description = "Size and number of the consumer's tasks, the messages that may wait for each (each holds up to 64 KiB of packed events), and further settings by their environment variable."
  type = object({
    cpu                      = optional(number, 512)
    memory                   = optional(number, 1024)
    min_tasks                = optional(number, 1)
    max_tasks                = optional(number, 10)
    target_messages_per_task = optional(number, 1000)
    spot                     = optional(bool, false)
    settings                 = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.batch_consumer.settings) : !contains(["QUEUE_NAME", "DLQ_NAME", "LAKE_BUCKET", "METRICS_LISTEN", "CREATE", "METRICS", "METRICS_NAMESPACE", "AWS_REGION", "CONTRACTS"], name)])
    error_message = "QUEUE_NAME, DLQ_NAME, LAKE_BUCKET, METRICS_LISTEN, CREATE, METRICS, METRICS_NAMESPACE, AWS_REGION and CONTRACTS are set by this module."
  }
}

variable "aggregator" {
  description = "Size of the aggregator's task, all of whose vCPUs it uses, and its disk for what does not fit memory (SPILL_LIMIT); when it runs, or, with `watch`, that it runs all the time and when it commits (INTERVAL, COMMIT_MIN_BYTES, COMMIT_MAX_AGE); whether it does; and further settings by their environment variable."
  type = object({
    cpu                 = optional(number, 2048)
    memory              = optional(number, 4096)
    spill_gib           = optional(number, 16)
    schedule_expression = optional(string, "cron(5 * * * ? *)")
    watch = optional(object({
      interval         = optional(string, "60s")
      commit_min_bytes = optional(string, "64MiB")
      commit_max_age   = optional(string, "15m")
    }))
    enabled  = optional(bool, true)
    settings = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.aggregator.spill_gib >= 1 && var.aggregator.spill_gib <= 196 && floor(var.aggregator.spill_gib) == var.aggregator.spill_gib
    error_message = "1 to 196 whole GiB: a task of Fargate has 200 at most, and the image takes some."
  }

  validation {
    condition     = alltrue([for name in keys(var.aggregator.settings) : !contains(["LAKE_BUCKET", "SPILL_LIMIT", "SPILL_DIR", "INTERVAL", "COMMIT_MIN_BYTES", "COMMIT_MAX_AGE", "METRICS_LISTEN", "CREATE", "METRICS", "METRICS_NAMESPACE", "AWS_REGION", "CONTRACTS"], name)])
    error_message = "LAKE_BUCKET, SPILL_LIMIT, SPILL_DIR, INTERVAL, COMMIT_MIN_BYTES, COMMIT_MAX_AGE, METRICS_LISTEN, CREATE, METRICS, METRICS_NAMESPACE, AWS_REGION and CONTRACTS are set by this module."
  }
}

variable "query" {
  description = "Size and number of the tasks of `query`, what decides the number, where its console finds `alerts` (at the load balancer, unless given), and further settings by their environment variable. Memory holds HOT_LIMIT and MEMORY_LIMIT at once."
  type = object({
    cpu                = optional(number, 1024)
    memory             = optional(number, 3072)
    min_tasks          = optional(number, 1)
    max_tasks          = optional(number, 4)
    target_cpu_percent = optional(number, 60)
    alerts_url         = optional(string)
    settings           = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.query.settings) : !contains(["LAKE_BUCKET", "LISTEN", "METRICS_LISTEN", "READ_KEYS", "ALERTS_URL", "ALERTS_KEY", "KEYS_TEXT", "QUERY_TIMEOUT", "METRICS", "METRICS_NAMESPACE", "AWS_REGION", "CONTRACTS"], name)])
    error_message = "LAKE_BUCKET, LISTEN, METRICS_LISTEN, READ_KEYS, ALERTS_URL, ALERTS_KEY, KEYS_TEXT, QUERY_TIMEOUT, METRICS, METRICS_NAMESPACE, AWS_REGION and CONTRACTS are set by this module."
  }
}

variable "alerts" {
  description = "Size of the task of `alerts`, whose memory holds MAX_SERIES series; the folder in its image with rules and notify.yml (RULES; null for the built-in rules, whose alerts are log lines); ARNs of Secrets Manager secrets by the variables that notify.yml names; TCP ports of receivers beside 443, such as 587 for mail; where links in notifications lead to (the load balancer, unless given); and further settings by their environment variable."
  type = object({
    cpu            = optional(number, 1024)
    memory         = optional(number, 4096)
    rules          = optional(string)
    secrets        = optional(map(string), {})
    receiver_ports = optional(list(number), [])
    external_url   = optional(string)
    settings       = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.alerts.settings) : !contains(["LAKE_BUCKET", "QUEUE_NAME", "DLQ_NAME", "LISTEN", "METRICS_LISTEN", "READ_KEYS", "KEYS_TEXT", "RULES", "EXTERNAL_URL", "METRICS", "METRICS_NAMESPACE", "AWS_REGION", "CONTRACTS"], name)])
    error_message = "LAKE_BUCKET, QUEUE_NAME, DLQ_NAME, LISTEN, METRICS_LISTEN, READ_KEYS, KEYS_TEXT, RULES, EXTERNAL_URL, METRICS, METRICS_NAMESPACE, AWS_REGION and CONTRACTS are set by this module."
  }

  validation {
    condition     = alltrue([for arn in values(var.alerts.secrets) : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+$", arn))])
    error_message = "Whole ARNs of secrets, as `aws secretsmanager create-secret` prints them, with the six characters that AWS adds to the name."
  }

  validation {
    condition     = alltrue([for port in var.alerts.receiver_ports : port >= 1 && port <= 65535 && floor(port) == port && port != 443])
    error_message = "TCP ports beside 443, which is open anyway."
  }
}

variable "catalog" {
  description = "Athena's tables: first year looked for, kinds beside the built-in ones, columns of undeclared signals, and the most bytes that a query may read."
  type = object({
    first_year = optional(number, 2025)
    kinds = optional(map(object({
      entity_field  = string
      time_field    = string
      signals_field = optional(string)
      fields        = optional(list(object({ name = string, type = string })), [])
      signals       = optional(list(object({ name = string, type = string, unit = optional(string) })), [])
    })), {})
    undeclared_signals = optional(map(list(object({ name = string, type = string }))), {})
    scan_limit_bytes   = optional(number, 10737418240)
  })
  default  = {}
  nullable = false
}

variable "alarm_emails" {
  description = "Addresses that are told of alarms and of the budget. Each must confirm once."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "alarms" {
  description = "When alarms go off; the module `alarms` says what each means. Set `expect_events` to false where ten minutes without an event are nothing new, and `runbook` to the address at which you show docs/runbook.md, for links in the messages."
  type = object({
    max_queue_age_seconds        = optional(number, 300)
    max_queue_latency_seconds    = optional(number, 60)
    max_server_errors_per_minute = optional(number, 5)
    dead_letter_flood            = optional(number, 100)
    max_hours_without_run        = optional(number, 2)
    max_aggregator_lag_seconds   = optional(number, 10800)
    max_commit_hours             = optional(number, 500)
    max_undeclared_names         = optional(number, 400)
    expect_events                = optional(bool, true)
    runbook                      = optional(string, "docs/runbook.md")
  })
  default  = {}
  nullable = false
}

variable "monthly_budget_usd" {
  description = "Budget of the account for a month, in US dollars; null for none."
  type        = number
  default     = null
}

variable "log_retention_days" {
  description = "Days for which CloudWatch keeps the services' logs."
  type        = number
  default     = 30
  nullable    = false
}

variable "tags" {
  description = "Tags of all that is made, beside `Application`."
  type        = map(string)
  default     = {}
  nullable    = false
}
