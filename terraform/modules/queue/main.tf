# The queue of events and its dead-letter queue. Both keep a message as long as SQS allows, so that an outage of the
# consumer, or a dead letter nobody looked at over the holidays, costs nothing.

resource "aws_sqs_queue" "dead_letters" {
  name                       = var.dlq_name
  message_retention_seconds  = var.retention_seconds
  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = var.receive_wait_seconds
  max_message_size           = local.max_message_bytes
  sqs_managed_sse_enabled    = true
  tags                       = var.tags
}

resource "aws_sqs_queue" "events" {
  name                       = var.name
  message_retention_seconds  = var.retention_seconds
  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = var.receive_wait_seconds
  max_message_size           = local.max_message_bytes
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
  tags = var.tags
}

# No other queue may use ours for its dead letters: the consumer's `dlq` commands would not know them.
resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.events.arn]
  })
}

# Who may use the queues is for the roles to say; that it takes TLS holds for everyone.
resource "aws_sqs_queue_policy" "tls_only" {
  for_each  = local.queues
  queue_url = each.value.id
  policy    = data.aws_iam_policy_document.tls_only[each.key].json
}

data "aws_iam_policy_document" "tls_only" {
  for_each = local.queues

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

locals {
  # SQS's maximum: ingest sends at most 64 KiB, another producer may send more.
  max_message_bytes = 1024 * 1024

  queues = {
    events       = aws_sqs_queue.events
    dead_letters = aws_sqs_queue.dead_letters
  }
}
