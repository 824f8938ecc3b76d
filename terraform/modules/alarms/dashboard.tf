# One page: what comes in, how long it takes, what is refused, what runs.

data "aws_region" "current" {}

locals {
  region = data.aws_region.current.region
  own    = var.metrics_namespace

  widgets = [
    {
      title = "Events accepted a minute"
      stat  = "Sum"
      lines = [[local.own, "EventsAccepted"]]
    },
    {
      title = "Events refused a minute, by reason"
      stat  = "Sum"
      lines = [[{ expression = "SEARCH('{${local.own},reason} MetricName=\"EventsRejected\"', 'Sum', 60)", id = "rejected", label = "" }]]
    },
    {
      title = "Seconds from ingest to the lake"
      stat  = "p95"
      lines = [
        [local.own, "QueueLatencySeconds", { stat = "p50", label = "p50" }],
        [local.own, "QueueLatencySeconds", { stat = "p95", label = "p95" }],
        [local.own, "QueueLatencySeconds", { stat = "p99", label = "p99" }],
      ]
    },
    {
      title = "Seconds from an event's own time to the lake"
      stat  = "p95"
      lines = [
        [local.own, "LatencySeconds", { stat = "p50", label = "p50" }],
        [local.own, "LatencySeconds", { stat = "p95", label = "p95" }],
      ]
    },
    {
      title = "Events in the lake a minute, and in a batch"
      stat  = "Sum"
      lines = [
        [local.own, "EventsWritten", { label = "written to raw/" }],
        [local.own, "BatchEvents", { stat = "p50", label = "in a batch, p50", yAxis = "right" }],
      ]
    },
    {
      title = "Bytes of a pack, of 65,536 that are billed as one"
      stat  = "Sum"
      lines = [
        [{ expression = "bytes / packs", id = "fill", label = "bytes of a pack" }],
        [local.own, "PackBytes", { id = "bytes", visible = false }],
        [local.own, "Packs", { id = "packs", visible = false }],
      ]
    },
    {
      title = "Bytes that wait for SQS in ingest, at most"
      stat  = "Maximum"
      lines = [[local.own, "PendingBytes"]]
    },
    {
      title = "Failures a minute: these are tried again"
      stat  = "Sum"
      lines = [
        [local.own, "SendFailures", { label = "messages that SQS did not take" }],
        [local.own, "WriteFailures", { label = "objects that S3 did not take" }],
        [local.own, "Redeliveries", { label = "messages that came again" }],
      ]
    },
    {
      title = "Dollars an hour for requests to SQS and S3"
      stat  = "Sum"
      lines = [[local.own, "AwsDollars", { period = 3600, label = "all services" }]]
    },
    {
      title = "Queue: messages and seconds of the oldest"
      stat  = "Maximum"
      lines = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_name, { label = "waiting" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", var.queue_name, { label = "in flight" }],
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queue_name, { label = "oldest, s", yAxis = "right" }],
      ]
    },
    {
      title = "Dead letters"
      stat  = "Maximum"
      lines = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.dlq_name, { label = "waiting" }],
        [local.own, "DeadLetters", { stat = "Sum", label = "new a minute" }],
      ]
    },
    {
      title = "Answers of query: seconds behind raw/, and what it holds"
      stat  = "Maximum"
      lines = [
        [local.own, "SnapshotAge", { label = "behind, s" }],
        [local.own, "HotBytes", { label = "bytes of events not committed", yAxis = "right" }],
        [local.own, "HotFull", { label = "HOT_LIMIT reached" }],
        [local.own, "QueryFailedRefreshes", { stat = "Sum", label = "failed looks a minute" }],
        [local.own, "QueryRefusedLines", { stat = "Sum", label = "lines that are no rows" }],
      ]
    },
    {
      title = "Alerts: seconds behind, and series in memory"
      stat  = "Maximum"
      lines = [
        [local.own, "AlertsLag", { label = "behind, s" }],
        [local.own, "AlertsSeries", { label = "series", yAxis = "right" }],
      ]
    },
    {
      title = "Alerts that fire, and notifications"
      stat  = "Maximum"
      lines = [
        [local.own, "AlertsFiring", { label = "alerts that fire" }],
        [local.own, "NotificationsOpen", { label = "not delivered yet" }],
        [local.own, "NotificationsStuck", { label = "given up" }],
        [local.own, "AlertsRefusedReloads", { stat = "Sum", label = "rule files refused" }],
      ]
    },
    {
      title = "Answers a minute"
      stat  = "Sum"
      lines = [
        ["AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", "LoadBalancer", var.load_balancer, { label = "2xx" }],
        ["AWS/ApplicationELB", "HTTPCode_Target_4XX_Count", "LoadBalancer", var.load_balancer, { label = "4xx" }],
        ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", var.load_balancer, { label = "5xx of ingest" }],
        ["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", var.load_balancer, { label = "5xx of the load balancer" }],
      ]
    },
    {
      title = "Seconds to answer"
      stat  = "p95"
      lines = [
        ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.load_balancer, { stat = "p50", label = "p50" }],
        ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.load_balancer, { stat = "p95", label = "p95" }],
      ]
    },
    {
      title = "Tasks that run"
      stat  = "Average"
      lines = [
        for service in var.services :
        ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", var.cluster_name, "ServiceName", service, { label = service }]
      ]
    },
    {
      title = "CPU and memory, per cent"
      stat  = "Average"
      lines = concat([
        for service in var.services :
        ["AWS/ECS", "CPUUtilization", "ClusterName", var.cluster_name, "ServiceName", service, { label = "${service} CPU" }]
        ], [
        for service in var.services :
        ["AWS/ECS", "MemoryUtilization", "ClusterName", var.cluster_name, "ServiceName", service, { label = "${service} memory" }]
      ])
    },
    {
      title = "Runs of the aggregator an hour"
      stat  = "Sum"
      lines = [
        [local.own, "AggregatorFailedRuns", { stat = "SampleCount", label = "ended", period = 3600 }],
        [local.own, "AggregatorFailedRuns", { stat = "Sum", label = "failed", period = 3600 }],
      ]
    },
    {
      title = "Aggregator: lag, and hours of a commit"
      stat  = "Maximum"
      lines = [
        [local.own, "AggregatorLag", { label = "oldest object that waits, s" }],
        [local.own, "CommitHours", { label = "event hours of a commit", yAxis = "right" }],
      ]
    },
    {
      title = "Undeclared names, by kind, and values in _more"
      stat  = "Maximum"
      lines = [
        [{ expression = "SEARCH('{${local.own},kind} MetricName=\"UndeclaredNames\"', 'Maximum', 3600)", id = "names", label = "" }],
        [local.own, "ValuesWithoutColumn", { stat = "Sum", period = 3600, label = "values in _more", yAxis = "right" }],
      ]
    },
    {
      title = "What the aggregator took in an hour"
      stat  = "Sum"
      lines = [
        [local.own, "EventsCurated", { period = 3600, label = "events" }],
        [local.own, "DuplicateEvents", { period = 3600, label = "dropped: there already" }],
        [local.own, "ConflictingEvents", { period = 3600, label = "set aside: one id, two events" }],
        [local.own, "RefusedLines", { period = 3600, label = "set aside: break their contract" }],
      ]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "headwater" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for at, widget in local.widgets : {
        type   = "metric"
        x      = at % 2 * 12
        y      = floor(at / 2) * 6
        width  = 12
        height = 6
        properties = {
          title   = widget.title
          region  = local.region
          view    = "timeSeries"
          period  = 60
          stat    = widget.stat
          metrics = widget.lines
          yAxis   = { left = { min = 0 } }
        }
      }
    ]
  })
}
