# One Fargate task definition: image, settings, logs, the role it acts under and the role that starts it.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  region = data.aws_region.current.region

  # An image from a private ECR repository: <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag> or @<digest>.
  ecr = try(regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.amazonaws\\.com(?:\\.cn)?/(?P<repository>[^:@]+)[:@]", var.image), null)

  container = merge(
    {
      name      = var.name
      image     = var.image
      essential = true
      # The images run as this user anyway; named here, an image that does not is stopped from running as root.
      user                   = "65532:65532"
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      environment            = [for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }]
      # Empty, as ECS reports them: left out, each plan would want to take them away.
      mountPoints    = []
      volumesFrom    = []
      systemControls = []
      # Longer than SHUTDOWN_GRACE: a service finishes what it holds when it is told to stop.
      stopTimeout = var.stop_timeout_seconds
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.task.name
          awslogs-region        = local.region
          awslogs-stream-prefix = var.name
          # A service does not wait for CloudWatch: past the buffer log lines are dropped, events never.
          mode            = "non-blocking"
          max-buffer-size = "25m"
        }
      }
    },
    length(var.command) == 0 ? {} : { command = var.command },
    var.writable_folder == null ? {} : {
      mountPoints = [{ sourceVolume = "scratch", containerPath = var.writable_folder, readOnly = false }]
    },
    length(var.secrets) == 0 ? {} : {
      secrets = [for name in sort(keys(var.secrets)) : { name = name, valueFrom = var.secrets[name] }]
    },
    var.port == null ? {} : { portMappings = [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }] },
    length(var.health_command) == 0 ? {} : {
      healthCheck = {
        command     = concat(["CMD"], var.health_command)
        interval    = 15
        timeout     = 6 # a service's `health` gives up after 5 s by itself
        retries     = 3
        startPeriod = 30
      }
    },
  )
}

resource "aws_cloudwatch_log_group" "task" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts log groups by itself; the logs hold no payloads and no credentials
  # checkov:skip=CKV_AWS_338:How long to keep logs is an input; a year by default would mostly cost money
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_ecs_task_definition" "task" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  container_definitions    = jsonencode([local.container])
  # Older revisions stay registered: where a release fails, ECS can take a service back to none that is not.
  skip_destroy = true
  tags         = var.tags

  # On the task's own disk, empty at its start. Fargate gives it the owner that the image's VOLUME of that path has.
  dynamic "volume" {
    for_each = var.writable_folder == null ? [] : ["scratch"]
    content {
      name = volume.value
    }
  }

  dynamic "ephemeral_storage" {
    for_each = var.disk_gib == null ? [] : [var.disk_gib]
    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  # A task that starts before its role may pull, log or read its secrets fails.
  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy.task]
}
