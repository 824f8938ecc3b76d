# For lasting use: three zones, private subnets, two tasks of ingest at least, protected against deletion, state in S3.

terraform {
  required_version = ">= 1.11" # locks the state in S3 itself

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }

  # Bucket and region are given by `terraform init -backend-config`.
  backend "s3" {
    key          = "headwater/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  # Another account's credentials in the shell change nothing there.
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = { Environment = var.environment }
  }
}

module "network" {
  source  = "../../modules/network"
  name    = var.name
  cidr    = var.vpc_cidr
  zones   = 3
  private = true
  tags    = { Application = var.name }
}

module "headwater" {
  source                = "../.."
  name                  = var.name
  images                = var.images
  cpu_architecture      = var.cpu_architecture
  api_keys_secret_arn   = var.api_keys_secret_arn
  read_keys_secret_arn  = var.read_keys_secret_arn
  named_keys_secret_arn = var.named_keys_secret_arn
  domain                = var.domain
  access_logs_bucket    = var.access_logs_bucket
  contracts             = var.contracts
  alarm_emails          = var.alarm_emails
  monthly_budget_usd    = var.monthly_budget_usd
  log_retention_days    = 90

  network = {
    vpc_id                   = module.network.vpc_id
    load_balancer_subnet_ids = module.network.public_subnet_ids
    task_subnet_ids          = module.network.private_subnet_ids
  }

  # Rebuilding an hour needs its raw objects: a month to notice and mend.
  lake           = { raw_retention_days = 30 }
  ingest         = { cpu = 1024, memory = 2048, min_tasks = 3, max_tasks = 20 }
  batch_consumer = { cpu = 1024, memory = 2048, min_tasks = 2, max_tasks = 20 }
  # It uses all its vCPUs.
  aggregator = { cpu = 2048, memory = 4096 }
  alerts     = var.alerts
  catalog    = { kinds = var.kinds }
}
