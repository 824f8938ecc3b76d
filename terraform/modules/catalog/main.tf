# Glue tables over the lake, and an Athena workgroup to ask them. Partitions are projected from the keys: nothing has to
# be crawled or added as hours come.

locals {
  database = replace(var.name, "-", "_")

  # Text, as the keys have it: year = '2026' and month = '11' and day = '21' and hour = '05'.
  partition_keys = ["year", "month", "day", "hour"]

  hours = "year=$${year}/month=$${month}/day=$${day}/hour=$${hour}/"

  # The year as a date, for its range then ends with the present one by itself.
  projection = {
    "projection.enabled"            = "true"
    "projection.year.type"          = "date"
    "projection.year.format"        = "yyyy"
    "projection.year.range"         = "${var.first_year},NOW"
    "projection.year.interval"      = "1"
    "projection.year.interval.unit" = "YEARS"
    "projection.month.type"         = "integer"
    "projection.month.range"        = "1,12"
    "projection.month.digits"       = "2"
    "projection.day.type"           = "integer"
    "projection.day.range"          = "1,31"
    "projection.day.digits"         = "2"
    "projection.hour.type"          = "integer"
    "projection.hour.range"         = "0,23"
    "projection.hour.digits"        = "2"
  }
}

resource "aws_glue_catalog_database" "lake" {
  name        = local.database
  description = "Tables over the lake s3://${var.bucket}."
  tags        = var.tags
}

# Events as they arrived, by hour of arrival, at least once: an event can stand here twice.
resource "aws_glue_catalog_table" "raw" {
  name          = "raw"
  description   = "Events as they arrived, by arrival hour; at least once."
  database_name = aws_glue_catalog_database.lake.name
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(local.projection, {
    "EXTERNAL"                  = "TRUE"
    "classification"            = "json"
    "storage.location.template" = "s3://${var.bucket}/raw/${local.hours}"
  })

  dynamic "partition_keys" {
    for_each = local.partition_keys
    content {
      name = partition_keys.value
      type = "string"
    }
  }

  storage_descriptor {
    location      = "s3://${var.bucket}/raw/"
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

    ser_de_info {
      serialization_library = "org.openx.data.jsonserde.JsonSerDe"
    }

    dynamic "columns" {
      for_each = local.raw_columns
      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }
}

# One table for each kind: events by the hour in which they happened, each once.
resource "aws_glue_catalog_table" "curated" {
  for_each      = local.kinds
  name          = each.key
  description   = "Events of kind ${each.key}, by event hour; each once."
  database_name = aws_glue_catalog_database.lake.name
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(local.projection, {
    "EXTERNAL"                  = "TRUE"
    "classification"            = "parquet"
    "storage.location.template" = "s3://${var.bucket}/curated/kind=${each.key}/${local.hours}"
  })

  dynamic "partition_keys" {
    for_each = local.partition_keys
    content {
      name = partition_keys.value
      type = "string"
    }
  }

  storage_descriptor {
    location      = "s3://${var.bucket}/curated/kind=${each.key}/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = local.curated_columns[each.key]
      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }
}

# Beside each JSONL lies the same hour as Parquet, and Athena reads a folder whole. The lines are what is read; the
# bytes of the Parquet are no JSON and come out as rows of nulls, which `WHERE kind = …` drops.
resource "aws_glue_catalog_table" "aggregates" {
  name          = "aggregates"
  description   = "Statistics of each entity and signal in each event hour. Name the kind: rows without one are no data."
  database_name = aws_glue_catalog_database.lake.name
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(local.projection, {
    "EXTERNAL"                  = "TRUE"
    "classification"            = "json"
    "storage.location.template" = "s3://${var.bucket}/aggregates/${local.hours}"
  })

  dynamic "partition_keys" {
    for_each = local.partition_keys
    content {
      name = partition_keys.value
      type = "string"
    }
  }

  storage_descriptor {
    location      = "s3://${var.bucket}/aggregates/"
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

    ser_de_info {
      serialization_library = "org.openx.data.jsonserde.JsonSerDe"

      parameters = {
        "ignore.malformed.json" = "true"
      }
    }

    dynamic "columns" {
      for_each = local.aggregate_columns
      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }
}
