# What each service is told, as docs/operations.md lists it. Only what AWS needs other than the defaults is set here;
# a caller's `settings` come on top.

locals {
  ports = {
    ingest         = 3000
    ingest_admin   = 9100
    batch_consumer = 9101
    aggregator     = 9102
    query          = 3002
    query_admin    = 9103
    alerts         = 3003
    alerts_admin   = 9104
  }

  # Where the aggregator's image has a folder of its own to write to.
  spill_dir = "/var/spill"

  common = merge(
    {
      AWS_REGION = data.aws_region.current.region
      LOG_FORMAT = "json"
      METRICS    = "emf"
      # One for each deployment, or their figures would add up.
      METRICS_NAMESPACE = var.name
    },
    var.contracts == null ? {} : { CONTRACTS = var.contracts },
  )

  # CREATE: Terraform makes queues and bucket; a wrong name is to stop a service, not to make another queue.
  environment = {
    ingest = merge(local.common, var.ingest.settings, {
      QUEUE_NAME = module.queue.name
      CREATE     = "false"
      # Reached through the load balancer, so not on the loopback address alone.
      LISTEN = "0.0.0.0:${local.ports.ingest}"
      # For the load balancer's health check; its listener forwards nobody there.
      METRICS_LISTEN = "0.0.0.0:${local.ports.ingest_admin}"
    })

    batch_consumer = merge(local.common, var.batch_consumer.settings, {
      QUEUE_NAME  = module.queue.name
      DLQ_NAME    = module.queue.dlq_name
      LAKE_BUCKET = module.lake.bucket
      CREATE      = "false"
      # For its health check alone, which runs inside the container.
      METRICS_LISTEN = "127.0.0.1:${local.ports.batch_consumer}"
    })

    aggregator = merge(local.common, var.aggregator.settings, {
      LAKE_BUCKET = module.lake.bucket
      CREATE      = "false"
      SPILL_DIR   = local.spill_dir
      SPILL_LIMIT = "${var.aggregator.spill_gib}GiB"
    })

    query = merge(local.common, var.query.settings, local.has_alerts ? { ALERTS_URL = coalesce(var.query.alerts_url, module.front.url) } : {}, {
      LAKE_BUCKET = module.lake.bucket
      # Reached through the load balancer, so not on the loopback address alone.
      LISTEN = "0.0.0.0:${local.ports.query}"
      # For the load balancer's health check; its listener forwards nobody there.
      METRICS_LISTEN = "0.0.0.0:${local.ports.query_admin}"
      # Shorter than the load balancer waits for an answer.
      QUERY_TIMEOUT = "20s"
    })

    alerts = merge(local.common, var.alerts.settings, var.alerts.rules == null ? {} : { RULES = var.alerts.rules }, {
      LAKE_BUCKET = module.lake.bucket
      QUEUE_NAME  = module.queue.name
      DLQ_NAME    = module.queue.dlq_name
      # Where links in notifications lead to.
      EXTERNAL_URL = coalesce(var.alerts.external_url, module.front.url)
      # Reached through the load balancer, so not on the loopback address alone.
      LISTEN = "0.0.0.0:${local.ports.alerts}"
      # For the load balancer's health check; its listener forwards nobody there.
      METRICS_LISTEN = "0.0.0.0:${local.ports.alerts_admin}"
    })

    aggregator_watch = var.aggregator.watch == null ? {} : {
      INTERVAL         = var.aggregator.watch.interval
      COMMIT_MIN_BYTES = var.aggregator.watch.commit_min_bytes
      COMMIT_MAX_AGE   = var.aggregator.watch.commit_max_age
      # For its health check alone, which runs inside the container.
      METRICS_LISTEN = "127.0.0.1:${local.ports.aggregator}"
    }
  }
}
