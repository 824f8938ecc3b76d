# The whole pipeline: queue and lake, ingest, query and alerts behind a load balancer, consumer, the aggregator by
# schedule, tables, alarms.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  names = {
    ingest         = "${var.name}-ingest"
    batch_consumer = "${var.name}-batch-consumer"
    aggregator     = "${var.name}-aggregator"
    query          = "${var.name}-query"
    alerts         = "${var.name}-alerts"
  }

  has_query  = var.read_keys_secret_arn != null && var.images.query != null
  has_alerts = var.read_keys_secret_arn != null && var.images.alerts != null

  named_keys = var.named_keys_secret_arn == null ? {} : { KEYS_TEXT = var.named_keys_secret_arn }

  # A bucket's name is unique in the world: account and region make it so.
  lake_bucket = coalesce(var.lake.bucket_name, "${var.name}-lake-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}")

  # Beside what the aggregator spills, the image and the system of the task take some.
  aggregator_disk_gib = var.aggregator.spill_gib + 4 > 20 ? var.aggregator.spill_gib + 4 : null

  aggregator_watches = var.aggregator.watch != null && var.aggregator.enabled

  tags = merge({ Application = var.name }, var.tags)

  # Through the capacity providers, so that no service is made before the cluster has them.
  cluster = {
    name = aws_ecs_cluster_capacity_providers.fargate.cluster_name
    arn  = "${trimsuffix(aws_ecs_cluster.this.arn, var.name)}${aws_ecs_cluster_capacity_providers.fargate.cluster_name}"
  }
}

module "queue" {
  source   = "./modules/queue"
  name     = "${var.name}-events"
  dlq_name = "${var.name}-events-dlq"
  tags     = local.tags
}

module "lake" {
  source                  = "./modules/lake"
  bucket_name             = local.lake_bucket
  raw_retention_days      = var.lake.raw_retention_days
  letters_retention_days  = var.lake.letters_retention_days
  curated_infrequent_days = var.lake.curated_infrequent_days
  curated_archive_days    = var.lake.curated_archive_days
  force_destroy           = var.lake.force_destroy
  tags                    = local.tags
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = local.tags

  # The consumer's scaling divides by the number of running tasks, which Container Insights counts.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "fargate" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

module "front" {
  source              = "./modules/front"
  name                = var.name
  vpc_id              = var.network.vpc_id
  subnet_ids          = var.network.load_balancer_subnet_ids
  internal            = var.internal
  allowed_cidrs       = var.allowed_cidrs
  port                = local.ports.ingest
  admin_port          = local.ports.ingest_admin
  query               = local.has_query ? { port = local.ports.query, admin_port = local.ports.query_admin } : null
  alerts              = local.has_alerts ? { port = local.ports.alerts, admin_port = local.ports.alerts_admin } : null
  domain              = var.domain
  certificate_arn     = var.certificate_arn
  access_logs_bucket  = var.access_logs_bucket
  deletion_protection = var.deletion_protection
  tags                = local.tags
}

module "ingest_task" {
  source = "./modules/task"
  name   = local.names.ingest
  image  = var.images.ingest
  # Not whether it is ready: while SQS is down a new task would be no better, and would not even start.
  health_command     = ["/usr/local/bin/ingest", "health", "--live"]
  port               = local.ports.ingest
  cpu                = var.ingest.cpu
  memory             = var.ingest.memory
  cpu_architecture   = var.cpu_architecture
  environment        = local.environment.ingest
  secrets            = merge({ API_KEYS = var.api_keys_secret_arn }, local.named_keys)
  policy_json        = data.aws_iam_policy_document.ingest.json
  log_retention_days = var.log_retention_days
  tags               = local.tags
}

module "ingest" {
  source  = "./modules/service"
  task    = module.ingest_task
  cluster = local.cluster
  network = var.network
  tasks   = { min = var.ingest.min_tasks, max = var.ingest.max_tasks }
  spot    = var.ingest.spot
  tags    = local.tags

  load_balancer = {
    target_group_arn  = module.front.target_group_arn
    security_group_id = module.front.security_group_id
    resource_label    = module.front.resource_label
    port              = local.ports.ingest
    admin_port        = local.ports.ingest_admin
  }

  scaling = {
    cpu_percent         = var.ingest.target_cpu_percent
    requests_per_minute = var.ingest.target_requests_per_minute
  }
}

module "batch_consumer_task" {
  source             = "./modules/task"
  name               = local.names.batch_consumer
  image              = var.images.batch_consumer
  health_command     = ["/usr/local/bin/batch-consumer", "health", "--live"]
  cpu                = var.batch_consumer.cpu
  memory             = var.batch_consumer.memory
  cpu_architecture   = var.cpu_architecture
  environment        = local.environment.batch_consumer
  policy_json        = data.aws_iam_policy_document.batch_consumer.json
  log_retention_days = var.log_retention_days
  tags               = local.tags
}

module "batch_consumer" {
  source  = "./modules/service"
  task    = module.batch_consumer_task
  cluster = local.cluster
  network = var.network
  tasks   = { min = var.batch_consumer.min_tasks, max = var.batch_consumer.max_tasks }
  spot    = var.batch_consumer.spot
  tags    = local.tags

  scaling = {
    backlog = {
      queue_name        = module.queue.name
      messages_per_task = var.batch_consumer.target_messages_per_task
    }
  }
}

module "aggregator_task" {
  source             = "./modules/task"
  name               = local.names.aggregator
  image              = var.images.aggregator
  command            = ["once"]
  cpu                = var.aggregator.cpu
  memory             = var.aggregator.memory
  writable_folder    = local.spill_dir
  disk_gib           = local.aggregator_disk_gib
  cpu_architecture   = var.cpu_architecture
  environment        = local.environment.aggregator
  policy_json        = data.aws_iam_policy_document.aggregator.json
  log_retention_days = var.log_retention_days
  # A run that is told to stop finishes the object it writes; all else the next run does.
  stop_timeout_seconds = 120
  tags                 = local.tags
}

module "aggregator" {
  source              = "./modules/schedule"
  task                = module.aggregator_task
  schedule_expression = var.aggregator.schedule_expression
  enabled             = var.aggregator.enabled && var.aggregator.watch == null
  cluster             = local.cluster
  network             = var.network
  tags                = local.tags
}

# In place of the schedule where events are to stand in curated/ sooner than an hour after they arrive. One task: the
# aggregator is one writer, and a second would do the same work again. The schedule's task stays for runs by hand.
module "aggregator_watch_task" {
  count              = local.aggregator_watches ? 1 : 0
  source             = "./modules/task"
  name               = "${local.names.aggregator}-watch"
  image              = var.images.aggregator
  command            = ["watch"]
  health_command     = ["/usr/local/bin/aggregator", "health", "--live"]
  cpu                = var.aggregator.cpu
  memory             = var.aggregator.memory
  writable_folder    = local.spill_dir
  disk_gib           = local.aggregator_disk_gib
  cpu_architecture   = var.cpu_architecture
  environment        = merge(local.environment.aggregator, local.environment.aggregator_watch)
  policy_json        = data.aws_iam_policy_document.aggregator.json
  log_retention_days = var.log_retention_days
  tags               = local.tags
}

module "aggregator_watch" {
  count   = local.aggregator_watches ? 1 : 0
  source  = "./modules/service"
  task    = module.aggregator_watch_task[0]
  cluster = local.cluster
  network = var.network
  tasks   = { min = 1, max = 1 }
  scaling = {}
  tags    = local.tags
}

# What reads the lake for people. It keeps nothing but sign-ins, so as many run as readers ask for; the load balancer
# leads a browser to the task that it signed in at.
module "query_task" {
  count  = local.has_query ? 1 : 0
  source = "./modules/task"
  name   = local.names.query
  image  = var.images.query
  # Not whether it is ready: while S3 is down a new task would be no better.
  health_command     = ["/usr/local/bin/query", "health", "--live"]
  port               = local.ports.query
  cpu                = var.query.cpu
  memory             = var.query.memory
  cpu_architecture   = var.cpu_architecture
  environment        = local.environment.query
  secrets            = merge({ READ_KEYS = var.read_keys_secret_arn }, local.has_alerts ? { ALERTS_KEY = var.read_keys_secret_arn } : {}, local.named_keys)
  policy_json        = data.aws_iam_policy_document.query.json
  log_retention_days = var.log_retention_days
  tags               = local.tags
}

module "query" {
  count   = local.has_query ? 1 : 0
  source  = "./modules/service"
  task    = module.query_task[0]
  cluster = local.cluster
  network = var.network
  tasks   = { min = var.query.min_tasks, max = var.query.max_tasks }
  scaling = { cpu_percent = var.query.target_cpu_percent }
  tags    = local.tags

  load_balancer = merge(module.front.query, {
    security_group_id = module.front.security_group_id
    port              = local.ports.query
    admin_port        = local.ports.query_admin
  })
}

# What tells people. One task: it alone writes the log of alerts, and a second one would stand by. At a release the new
# one stands by until the old one has ended, and then leads at once.
module "alerts_task" {
  count  = local.has_alerts ? 1 : 0
  source = "./modules/task"
  name   = local.names.alerts
  image  = var.images.alerts
  # Not whether it is ready: while S3 is down a new task would be no better.
  health_command     = ["/usr/local/bin/alerts", "health", "--live"]
  port               = local.ports.alerts
  cpu                = var.alerts.cpu
  memory             = var.alerts.memory
  cpu_architecture   = var.cpu_architecture
  environment        = local.environment.alerts
  secrets            = merge(var.alerts.secrets, { READ_KEYS = var.read_keys_secret_arn }, local.named_keys)
  policy_json        = data.aws_iam_policy_document.alerts.json
  log_retention_days = var.log_retention_days
  tags               = local.tags
}

module "alerts" {
  count        = local.has_alerts ? 1 : 0
  source       = "./modules/service"
  task         = module.alerts_task[0]
  cluster      = local.cluster
  network      = var.network
  tasks        = { min = 1, max = 1 }
  scaling      = {}
  egress_ports = var.alerts.receiver_ports
  tags         = local.tags

  load_balancer = merge(module.front.alerts, {
    security_group_id = module.front.security_group_id
    port              = local.ports.alerts
    admin_port        = local.ports.alerts_admin
  })
}

module "catalog" {
  source             = "./modules/catalog"
  name               = var.name
  bucket             = module.lake.bucket
  first_year         = var.catalog.first_year
  kinds              = var.catalog.kinds
  undeclared_signals = var.catalog.undeclared_signals
  scan_limit_bytes   = var.catalog.scan_limit_bytes
  tags               = local.tags
}

module "alarms" {
  source                 = "./modules/alarms"
  name                   = var.name
  emails                 = var.alarm_emails
  queue_name             = module.queue.name
  dlq_name               = module.queue.dlq_name
  missed_runs_queue_name = module.aggregator.missed_queue_name
  load_balancer          = module.front.arn_suffix
  target_group           = module.front.target_group_arn_suffix
  cluster_name           = local.cluster.name
  services               = concat([module.ingest.name, module.batch_consumer.name], module.query[*].name, module.alerts[*].name)
  alerts                 = local.has_alerts ? { target_group = module.front.alerts.target_group_arn_suffix, log_group = module.alerts_task[0].log_group_name } : null
  metrics_namespace      = var.name
  monthly_budget_usd     = var.monthly_budget_usd
  alarms                 = var.alarms
  tags                   = local.tags
}
