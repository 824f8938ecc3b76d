# What each service may do: the operations that it calls (crates/aws), on the resources that it calls them on, no more.
# IAM names some operations otherwise than SQS and S3 do: SendMessageBatch is sqs:SendMessage, DeleteMessageBatch
# sqs:DeleteMessage, ChangeMessageVisibilityBatch sqs:ChangeMessageVisibility, ListObjectsV2 s3:ListBucket, HeadObject
# s3:GetObject, DeleteObjects s3:DeleteObject.

data "aws_iam_policy_document" "ingest" {
  statement {
    sid = "Send"
    actions = [
      "sqs:GetQueueAttributes", # the depth, for /health
      "sqs:GetQueueUrl",
      "sqs:SendMessage",
    ]
    resources = [module.queue.arn]
  }
}

data "aws_iam_policy_document" "batch_consumer" {
  statement {
    sid = "Receive"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [module.queue.arn]
  }

  statement {
    sid = "SendDeadLetters"
    actions = [
      "sqs:GetQueueUrl",
      "sqs:SendMessage",
    ]
    resources = [module.queue.dlq_arn]
  }

  statement {
    sid       = "WriteRaw"
    actions   = ["s3:PutObject"]
    resources = ["${module.lake.arn}/raw/*", "${module.lake.arn}/_letters/*"]
  }

  # At its start it looks whether the bucket is there.
  statement {
    sid       = "FindTheLake"
    actions   = ["s3:ListBucket"]
    resources = [module.lake.arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["raw/*"]
    }
  }
}

data "aws_iam_policy_document" "aggregator" {
  # It writes the lines of hours that a commit puts off.
  statement {
    sid       = "ReadAndWriteRaw"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${module.lake.arn}/raw/*"]
  }

  statement {
    sid     = "ReadAndWriteItsOwn"
    actions = ["s3:GetObject", "s3:PutObject"]
    resources = [
      for prefix in ["curated", "aggregates", "_commits", "_schema"] : "${module.lake.arn}/${prefix}/*"
    ]
  }

  statement {
    sid       = "WriteAside"
    actions   = ["s3:PutObject"]
    resources = ["${module.lake.arn}/_aside/*"]
  }

  # Without a condition on the prefix: S3 answers a GET of a key that is not there with 404 only to those who may list
  # the bucket, and a GET has no prefix.
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [module.lake.arn]
  }
}

# It reads, and writes nothing.
data "aws_iam_policy_document" "query" {
  statement {
    sid     = "Read"
    actions = ["s3:GetObject"]
    resources = [
      for prefix in ["raw", "curated", "aggregates", "_commits", "_schema", "moments", "alerts"] : "${module.lake.arn}/${prefix}/*"
    ]
  }

  # Without a condition on the prefix, as for the aggregator.
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [module.lake.arn]
  }
}

# It reads what arrives, keeps a log of its own, and writes anomalies and changes of alerts.
data "aws_iam_policy_document" "alerts" {
  statement {
    sid = "AskWhatWaits"
    actions = [
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
    ]
    resources = [module.queue.arn, module.queue.dlq_arn]
  }

  statement {
    sid       = "ReadRaw"
    actions   = ["s3:GetObject"]
    resources = ["${module.lake.arn}/raw/*"]
  }

  statement {
    sid       = "KeepItsLog"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${module.lake.arn}/_alerts/*"]
  }

  # Records behind a snapshot that say nothing, and those of 30 days ago.
  statement {
    sid       = "DeleteOldRecords"
    actions   = ["s3:DeleteObject"]
    resources = ["${module.lake.arn}/_alerts/log/*"]
  }

  statement {
    sid       = "TellTheLake"
    actions   = ["s3:PutObject"]
    resources = [for prefix in ["moments", "alerts"] : "${module.lake.arn}/${prefix}/*"]
  }

  # Without a condition on the prefix, as for the aggregator.
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [module.lake.arn]
  }
}

# For a person who runs `batch-consumer dlq list|show|replay|purge`: attach it to their role. No service has it.
resource "aws_iam_policy" "operator" {
  name        = "${var.name}-dead-letters"
  description = "Look at dead letters of ${var.name}, send them back to the queue, delete them."
  policy      = data.aws_iam_policy_document.operator.json
  tags        = local.tags
}

data "aws_iam_policy_document" "operator" {
  statement {
    sid = "LookAndDelete"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ReceiveMessage",
    ]
    resources = [module.queue.dlq_arn]
  }

  statement {
    sid = "SendBack"
    actions = [
      "sqs:GetQueueUrl",
      "sqs:SendMessage",
    ]
    resources = [module.queue.arn]
  }
}
