# A task started by EventBridge Scheduler: `aggregator once`. A run that cannot be started is tried again, and then told
# of in a queue of its own; one that fails is made good by the next, which goes on where it stopped.

data "aws_caller_identity" "current" {}

resource "aws_security_group" "task" {
  # checkov:skip=CKV2_AWS_5:It is attached to the tasks that the schedule below starts
  name        = var.task.name
  description = "Tasks of ${var.task.name}"
  vpc_id      = var.network.vpc_id
  tags        = merge(var.tags, { Name = var.task.name })
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.task.id
  description       = "AWS over TLS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_sqs_queue" "missed" {
  name                      = "${var.task.name}-missed"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_scheduler_schedule_group" "runs" {
  name = var.task.name
  tags = var.tags
}

resource "aws_scheduler_schedule" "runs" {
  # checkov:skip=CKV_AWS_297:The schedule holds names of resources and no data; Scheduler encrypts it with a key of its own
  name                         = "hourly"
  description                  = "Takes what is new in raw/ into curated/ and aggregates/."
  group_name                   = aws_scheduler_schedule_group.runs.name
  schedule_expression          = var.schedule_expression
  schedule_expression_timezone = "UTC"
  state                        = var.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.cluster.arn
    role_arn = aws_iam_role.schedule.arn

    ecs_parameters {
      task_definition_arn     = var.task.task_definition_arn
      launch_type             = "FARGATE"
      platform_version        = "LATEST"
      task_count              = 1
      enable_ecs_managed_tags = true

      network_configuration {
        subnets          = var.network.task_subnet_ids
        security_groups  = [aws_security_group.task.id]
        assign_public_ip = var.network.assign_public_ip
      }
    }

    # Given up before the next run is due.
    retry_policy {
      maximum_event_age_in_seconds = 3000
      maximum_retry_attempts       = 20
    }

    dead_letter_config {
      arn = aws_sqs_queue.missed.arn
    }
  }

  depends_on = [aws_iam_role_policy.schedule]
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_scheduler_schedule_group.runs.arn]
    }
  }
}

resource "aws_iam_role" "schedule" {
  name               = "${var.task.name}-schedule"
  description        = "Starts ${var.task.name}."
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "schedule" {
  name   = "start"
  role   = aws_iam_role.schedule.id
  policy = data.aws_iam_policy_document.schedule.json
}

data "aws_iam_policy_document" "schedule" {
  statement {
    sid       = "Start"
    actions   = ["ecs:RunTask"]
    resources = [var.task.task_definition_arn]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [var.cluster.arn]
    }
  }

  statement {
    sid       = "PassItsRoles"
    actions   = ["iam:PassRole"]
    resources = var.task.role_arns

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  statement {
    sid       = "TellOfMissedRuns"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.missed.arn]
  }
}
