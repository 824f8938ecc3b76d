# The smallest deployment: one task each, public subnets without NAT gateways, easily torn down. docs/deploy.md walks through it.

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
  region = var.region
}

module "network" {
  source = "../../modules/network"
  name   = var.name
  tags   = { Application = var.name }
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
  certificate_arn       = var.certificate_arn
  alarm_emails          = var.alarm_emails
  monthly_budget_usd    = var.monthly_budget_usd
  deletion_protection   = false
  log_retention_days    = 7

  # Public addresses instead of a NAT gateway: the security groups let in the load balancer and nobody else.
  network = {
    vpc_id                   = module.network.vpc_id
    load_balancer_subnet_ids = module.network.public_subnet_ids
    task_subnet_ids          = module.network.public_subnet_ids
    assign_public_ip         = true
  }

  lake           = { force_destroy = var.destroy_lake }
  ingest         = { cpu = 256, memory = 512, min_tasks = 1, max_tasks = 2 }
  batch_consumer = { cpu = 256, memory = 512, min_tasks = 1, max_tasks = 2 }
  aggregator     = { cpu = 512, memory = 1024 }
  alerts         = merge(var.alerts, { cpu = 256, memory = 1024, settings = { MAX_SERIES = "1000000" } })

  # A trial lies idle most of the time.
  alarms = { expect_events = false }
}
