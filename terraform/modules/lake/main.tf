# The bucket of the lake: raw/, curated/, aggregates/, moments/, alerts/, the aggregator's own _commits/, _schema/ and _aside/,
# the consumer's _letters/, the records of what was forgotten, _forgotten/, and the log of alerts, _alerts/.

resource "aws_s3_bucket" "lake" {
  # checkov:skip=CKV_AWS_18:Server access logs cost a bucket and a delivery of their own; who needs an audit trail turns on CloudTrail data events for this bucket
  # checkov:skip=CKV_AWS_144:One region; S3 keeps objects in at least three zones, and raw events can be sent again for as long as their senders keep them
  # checkov:skip=CKV_AWS_145:SSE-S3 encrypts every object; a key of the account's own would add a KMS charge to each request and nothing that the roles do not guard already
  # checkov:skip=CKV2_AWS_62:Nothing listens for events of this bucket: the aggregator lists what is new
  bucket        = var.bucket_name
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket                  = aws_s3_bucket.lake.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# What was deleted or overwritten by mistake can be restored for `noncurrent_days`.
resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_policy" "lake" {
  bucket = aws_s3_bucket.lake.id
  policy = data.aws_iam_policy_document.tls_only.json

  # A public access block that changes at the same time makes S3 refuse the policy.
  depends_on = [aws_s3_bucket_public_access_block.lake]
}

data "aws_iam_policy_document" "tls_only" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.lake.arn, "${aws_s3_bucket.lake.arn}/*"]

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

# Nothing here touches objects of _commits/, _schema/, _aside/ and _alerts/: aggregator and alerts go on from their logs
# for as long as the lake lives.
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    id     = "raw-expires"
    status = "Enabled"

    filter {
      prefix = "raw/"
    }

    expiration {
      days = var.raw_retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "letters-expire"
    status = "Enabled"

    filter {
      prefix = "_letters/"
    }

    expiration {
      days = var.letters_retention_days
    }
  }

  rule {
    id     = "curated-grows-cold"
    status = "Enabled"

    filter {
      prefix = "curated/"
    }

    transition {
      days          = var.curated_infrequent_days
      storage_class = "STANDARD_IA"
    }

    # Instant Retrieval: Athena and the aggregator read these objects like any other.
    transition {
      days          = var.curated_archive_days
      storage_class = "GLACIER_IR"
    }
  }

  rule {
    id     = "old-versions-expire"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    # Of objects that are gone, versions and all: alerts deletes 28,000 records of its log a day.
    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  # S3 wants versioning to be on before it takes a rule for old versions.
  depends_on = [aws_s3_bucket_versioning.lake]
}
