# A workgroup that bounds what a query may read, and queries to begin with. Results are kept by Athena itself for a day:
# no bucket of ours, and nothing to clean up.

resource "aws_athena_workgroup" "lake" {
  # checkov:skip=CKV_AWS_159:Athena encrypts the results that it keeps; the check knows results in a bucket only
  name          = var.name
  description   = "Questions to the lake s3://${var.bucket}."
  force_destroy = true
  tags          = var.tags

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.scan_limit_bytes

    managed_query_results_configuration {
      enabled = true
    }
  }
}

locals {
  queries = {
    busiest-cells    = "Cells by their downlink load yesterday, the busiest first."
    kpis-per-5-min   = "A cell's counters in steps of five minutes, of today."
    arrival-latency  = "Time from event to ingest of each hour of yesterday: median, p95, p99."
    late-events      = "Events of the last seven days that arrived more than an hour after they happened, by kind."
    duplicate-events = "Events that stand more than once in raw/ today: what the aggregator dropped."
  }
}

resource "aws_athena_named_query" "lake" {
  for_each    = local.queries
  name        = each.key
  description = each.value
  database    = aws_glue_catalog_database.lake.name
  workgroup   = aws_athena_workgroup.lake.id
  query       = file("${path.module}/queries/${each.key}.sql")
}
