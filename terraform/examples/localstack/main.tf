# Queue, dead-letter queue and bucket at a local endpoint, by the same modules as on AWS: `localstack/up` first, then
# `terraform init && terraform apply` here. The rest of the pipeline runs as processes or by compose.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25"
    }
  }
}

provider "aws" {
  region = "us-east-1"

  # Credentials that open nothing: real ones are never sent to the endpoint.
  access_key = "test"
  secret_key = "test"

  # SQS and S3 are all that runs there: no STS to ask who this is, no metadata service.
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  s3_use_path_style           = true

  endpoints {
    s3  = var.endpoint
    sqs = var.endpoint
  }
}

module "queue" {
  source   = "../../modules/queue"
  name     = var.queue_name
  dlq_name = var.dlq_name
}

module "lake" {
  source        = "../../modules/lake"
  bucket_name   = var.lake_bucket
  force_destroy = true
}
