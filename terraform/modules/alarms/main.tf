# Whom to tell, and the alarms. Each says in its description what to do first, and where the runbook says the rest: under a
# heading of its own name.

data "aws_caller_identity" "current" {}

resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26:CloudWatch and Budgets cannot publish to a topic that is encrypted with AWS's own SNS key; a message holds the name of an alarm and no data
  name = "${var.name}-alarms"
  tags = var.tags
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = toset(var.emails)
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.topic.json
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "AlarmsAndBudgetOfThisAccount"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

locals {
  # What an alarm has that says nothing else.
  usual = {
    dimensions = {}
    period     = 3600
    periods    = 1
    comparison = "GreaterThanThreshold"
    threshold  = 0
    silence    = "notBreaching"
  }

  # Each alarm: what is measured, past which bound for how many periods, what silence means, and what to do.
  alarms = {
    queue-age = {
      description = "Events wait too long for the consumer. Is it running, and does it keep up? Nothing is lost for 14 days."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = var.queue_name }
      statistic   = "Maximum"
      period      = 60
      periods     = 5
      threshold   = var.alarms.max_queue_age_seconds
    }
    dead-letters = {
      description = "Dead letters wait. `batch-consumer dlq list` says why; mend the cause, then `dlq replay`."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = var.dlq_name }
      statistic   = "Maximum"
      period      = 60
    }
    dead-letter-flood = {
      description = "Dead letters come fast: a producer or a declaration has changed. Compare CONTRACTS of ingest and consumer."
      namespace   = var.metrics_namespace
      metric      = "DeadLetters"
      statistic   = "Sum"
      period      = 300
      threshold   = var.alarms.dead_letter_flood
    }
    no-events = {
      description = "No event was accepted for ten minutes. Do clients reach ingest, and are their keys still good?"
      namespace   = var.metrics_namespace
      metric      = "EventsAccepted"
      statistic   = "Sum"
      period      = 300
      periods     = 2
      comparison  = "LessThanThreshold"
      threshold   = 1
      silence     = "breaching"
    }
    queue-latency = {
      description = "Events take long from ingest to the lake. Does the number of consumers grow, and does S3 answer?"
      namespace   = var.metrics_namespace
      metric      = "QueueLatencySeconds"
      statistic   = "p95"
      period      = 300
      periods     = 3
      threshold   = var.alarms.max_queue_latency_seconds
    }
    aggregator-failed = {
      description = "A run of the aggregator failed. Its log says why; the next run goes on where it stopped."
      namespace   = var.metrics_namespace
      metric      = "AggregatorFailedRuns"
      statistic   = "Sum"
    }
    # A run counts 0 where it succeeds and 1 where it fails, so that no sample at all is no run at all.
    aggregator-late = {
      description = "No run of the aggregator has ended for ${var.alarms.max_hours_without_run} hours. Does the schedule start it, and does its task stay alive?"
      namespace   = var.metrics_namespace
      metric      = "AggregatorFailedRuns"
      statistic   = "SampleCount"
      periods     = var.alarms.max_hours_without_run
      comparison  = "LessThanThreshold"
      threshold   = 1
      silence     = "breaching"
    }
    aggregator-missed = {
      description = "A run of the aggregator could not be started. The message in the queue says why; the next hour's run does its work."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = var.missed_runs_queue_name }
      statistic   = "Maximum"
      period      = 300
    }
    # After each run the aggregator tells the age of the oldest raw object that it left waiting; a run that took all
    # tells 0. The least of an hour, so that one run that is ahead of a wave of objects does not count.
    aggregator-lag = {
      description = "Events have waited for the aggregator for longer than ${var.alarms.max_aggregator_lag_seconds} s. Do its runs end, and do they keep up? Nothing is lost while raw/ is kept."
      namespace   = var.metrics_namespace
      metric      = "AggregatorLag"
      statistic   = "Minimum"
      threshold   = var.alarms.max_aggregator_lag_seconds
    }
    commit-hours = {
      description = "A commit of the aggregator wrote more than ${var.alarms.max_commit_hours} event hours: a fleet came back, or a device's clock is wrong. Each hour costs three objects."
      namespace   = var.metrics_namespace
      metric      = "CommitHours"
      statistic   = "Maximum"
      threshold   = var.alarms.max_commit_hours
    }
    more-values = {
      description = "A kind has all its undeclared names: values of further names went to the column _more. `aggregator names list` shows the names."
      namespace   = var.metrics_namespace
      metric      = "ValuesWithoutColumn"
      statistic   = "Sum"
    }
    # Silent where the service does not run.
    query-stale = {
      description = "Answers of query lack what landed more than two minutes ago. Does S3 answer, and does HOT_LIMIT hold what waits for the aggregator?"
      namespace   = var.metrics_namespace
      metric      = "SnapshotAge"
      statistic   = "Maximum"
      period      = 300
      threshold   = 120
    }
    # The service tells how far behind it is while it evaluates; silent where it does not run.
    alerts-late = {
      description = "Rules are looked at more than 90 seconds late. Do events reach raw/, does S3 answer, and has the task of alerts enough CPU?"
      namespace   = var.metrics_namespace
      metric      = "AlertsLag"
      statistic   = "Maximum"
      period      = 60
      periods     = 5
      threshold   = 90
    }
    alerts-stuck = {
      description = "A notification of alerts could not be delivered and is given up. `GET /api/v1/deliveries?status=stuck` says why; mend it, then `alerts retry`."
      namespace   = var.metrics_namespace
      metric      = "NotificationsStuck"
      statistic   = "Maximum"
      period      = 300
    }
    # While the log is not written, evaluation waits, and AlertsLag stays as it was.
    alerts-unrecorded = {
      description = "The log of alerts cannot be written: nobody is told of anything new. Does S3 answer, and may the task write to _alerts/?"
      namespace   = local.log_metrics
      metric      = "AlertsRecordsDelayed"
      statistic   = "Sum"
      period      = 300
      periods     = 2
      threshold   = 3
    }
    alerts-down = {
      description = "The task of alerts does not answer: nobody is told of anything else. Its log says why."
      namespace   = "AWS/ApplicationELB"
      metric      = "HealthyHostCount"
      dimensions  = { LoadBalancer = var.load_balancer, TargetGroup = try(var.alerts.target_group, "") }
      statistic   = "Maximum"
      period      = 60
      periods     = 5
      comparison  = "LessThanThreshold"
      threshold   = 1
      silence     = "breaching"
    }
    alerts-restarts = {
      description = "The task of alerts was started more than three times within an hour. Why its tasks ended says ECS."
      namespace   = local.log_metrics
      metric      = "AlertsStarts"
      statistic   = "Sum"
      threshold   = 3
    }
    no-healthy-task = {
      description = "No task of ingest is healthy. Its log says why; a release that never became healthy is rolled back by itself."
      namespace   = "AWS/ApplicationELB"
      metric      = "HealthyHostCount"
      dimensions  = { LoadBalancer = var.load_balancer, TargetGroup = var.target_group }
      statistic   = "Maximum"
      period      = 60
      periods     = 3
      comparison  = "LessThanThreshold"
      threshold   = 1
      silence     = "breaching"
    }
  }
}

locals {
  # Those of tasks that need not run.
  left_out = concat(var.alarms.expect_events ? [] : ["no-events"], var.alerts == null ? ["alerts-down", "alerts-restarts", "alerts-unrecorded"] : [])

  # Apart from what services tell themselves.
  log_metrics = "${var.metrics_namespace}-logs"
}

# What only the log of the task tells, by the event of its lines.
resource "aws_cloudwatch_log_metric_filter" "alerts" {
  for_each       = var.alerts == null ? {} : { AlertsStarts = "started", AlertsRecordsDelayed = "record_delayed" }
  name           = each.value
  log_group_name = var.alerts.log_group
  pattern        = "{ $.event = \"${each.value}\" }"

  metric_transformation {
    namespace = local.log_metrics
    name      = each.key
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each            = { for name, alarm in local.alarms : name => merge(local.usual, alarm) if !contains(local.left_out, name) }
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.description} ${var.alarms.runbook}#${each.key}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = each.value.silence
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags
}

# Of the kind that has most: the kinds are declared, so their names are not known here.
resource "aws_cloudwatch_metric_alarm" "undeclared_names" {
  alarm_name          = "${var.name}-undeclared-names"
  alarm_description   = "A kind has more than ${var.alarms.max_undeclared_names} undeclared names, of max_undeclared that may have a column. `aggregator names list` shows them. ${var.alarms.runbook}#undeclared-names"
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.max_undeclared_names
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  metric_query {
    id          = "names"
    label       = "most undeclared names of a kind"
    expression  = "SELECT MAX(UndeclaredNames) FROM SCHEMA(\"${var.metrics_namespace}\", kind)"
    period      = 3600
    return_data = true
  }
}

# 5xx of ingest (503 is SQS, 500 its own) and of the load balancer before it, together.
resource "aws_cloudwatch_metric_alarm" "server_errors" {
  alarm_name          = "${var.name}-server-errors"
  alarm_description   = "Clients are answered 5xx. 503 means SQS; 502 and 504 come from the load balancer, when tasks die or do not answer. ${var.alarms.runbook}#server-errors"
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarms.max_server_errors_per_minute
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  metric_query {
    id          = "errors"
    label       = "5xx answers"
    expression  = "FILL(target, 0) + FILL(balancer, 0)"
    return_data = true
  }

  metric_query {
    id = "target"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_Target_5XX_Count"
      dimensions  = { LoadBalancer = var.load_balancer }
      stat        = "Sum"
      period      = 60
    }
  }

  metric_query {
    id = "balancer"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_ELB_5XX_Count"
      dimensions  = { LoadBalancer = var.load_balancer }
      stat        = "Sum"
      period      = 60
    }
  }
}

# Of the whole account: a filter by tag counts nothing before the tag is activated for cost allocation.
resource "aws_budgets_budget" "monthly" {
  count        = var.monthly_budget_usd == null ? 0 : 1
  name         = "${var.name}-monthly"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_unit   = "USD"
  limit_amount = tostring(var.monthly_budget_usd)
  tags         = var.tags

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }

  # Budgets asks the topic's policy when it is made.
  depends_on = [aws_sns_topic_policy.alarms]
}
