variable "name" {
  description = "Name of the workgroup; the database has it with underscores in place of hyphens."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*$", var.name))
    error_message = "Lower-case letters, digits and hyphens, a letter first: Glue and Athena know no capitals."
  }
}

variable "bucket" {
  description = "Name of the lake's bucket."
  type        = string
  nullable    = false
}

variable "first_year" {
  description = "First year whose partitions are looked for. Older events are in the lake and not in the tables; each year back makes a query that names no year look for 8,928 folders more."
  type        = number
  default     = 2025
  nullable    = false

  validation {
    condition     = var.first_year >= 2000 && var.first_year <= 2100 && floor(var.first_year) == var.first_year
    error_message = "A year from 2000 on: no event is older."
  }
}

variable "kinds" {
  description = "Kinds beside the built-in ones, as their declarations in CONTRACTS have them; `type` is number, integer, boolean, string or, of fields, labels. A kind with `name_field` and `value_field` has no `signals_field`; these two are among its fields, of types string and number."
  type = map(object({
    entity_field  = string
    time_field    = string
    signals_field = optional(string)
    fields        = optional(list(object({ name = string, type = string })), [])
    signals       = optional(list(object({ name = string, type = string, unit = optional(string) })), [])
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.kinds) : can(regex("^[a-z][a-z0-9_]{0,31}$", name)) && !contains(["raw", "aggregates"], name)])
    error_message = "A kind's name is up to 32 of a-z, 0-9 and _, a letter first; `raw` and `aggregates` are tables already."
  }

  validation {
    condition = alltrue(flatten([
      for kind in values(var.kinds) : [
        for column in concat([for field in kind.fields : field.type == "labels" ? "string" : field.type], [for signal in kind.signals : signal.type]) :
        contains(["number", "integer", "boolean", "string"], column)
      ]
    ]))
    error_message = "A type is number, integer, boolean or string, or labels of a field."
  }
}

variable "undeclared_signals" {
  description = "By kind, columns of signals that no declaration names, as `_schema/<kind>.json` keeps their types. The Parquet files have them already; here Athena learns of them."
  type        = map(list(object({ name = string, type = string })))
  default     = {}
  nullable    = false

  validation {
    condition = alltrue(flatten([
      for signals in values(var.undeclared_signals) : [for signal in signals : contains(["number", "integer", "boolean", "string"], signal.type)]
    ]))
    error_message = "A type is number, integer, boolean or string."
  }
}

variable "scan_limit_bytes" {
  description = "Most bytes that a query may read; past it Athena ends it. Athena bills what is read."
  type        = number
  default     = 10737418240
  nullable    = false

  validation {
    condition     = var.scan_limit_bytes >= 10485760
    error_message = "Athena takes 10 MiB (10485760) or more."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}
