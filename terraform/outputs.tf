output "url" {
  description = "Where clients send events: POST <url>/v1/events."
  value       = module.front.url
}

output "load_balancer_dns_name" {
  description = "The load balancer's own name, for a record in a zone outside Route 53."
  value       = module.front.dns_name
}

output "load_balancer_arn" {
  description = "ARN of the load balancer, to attach a web ACL to."
  value       = module.front.load_balancer_arn
}

output "queue_name" {
  description = "Name of the queue of events."
  value       = module.queue.name
}

output "queue_url" {
  description = "URL of the queue of events."
  value       = module.queue.url
}

output "dlq_name" {
  description = "Name of the dead-letter queue."
  value       = module.queue.dlq_name
}

output "lake_bucket" {
  description = "Name of the lake's bucket."
  value       = module.lake.bucket
}

output "cluster_name" {
  description = "Name of the ECS cluster."
  value       = local.cluster.name
}

output "ingest_service_name" {
  description = "Name of ingest's ECS service, to redeploy after a change of the keys."
  value       = module.ingest.name
}

output "batch_consumer_service_name" {
  description = "Name of the consumer's ECS service."
  value       = module.batch_consumer.name
}

output "query_service_name" {
  description = "Name of query's ECS service, to redeploy after a change of its keys; null where it does not run."
  value       = one(module.query[*].name)
}

output "alerts_service_name" {
  description = "Name of the ECS service of `alerts`, to redeploy after a change of its keys or secrets; null where it does not run."
  value       = one(module.alerts[*].name)
}

output "aggregator_run" {
  description = "What `aws ecs run-task` needs to start the aggregator by hand."
  value = {
    cluster         = local.cluster.name
    task_definition = module.aggregator_task.family
    network_configuration = jsonencode({
      awsvpcConfiguration = {
        subnets        = var.network.task_subnet_ids
        securityGroups = [module.aggregator.security_group_id]
        assignPublicIp = var.network.assign_public_ip ? "ENABLED" : "DISABLED"
      }
    })
  }
}

output "operator_policy_arn" {
  description = "Policy for people who look after dead letters."
  value       = aws_iam_policy.operator.arn
}

output "database" {
  description = "Name of the Glue database."
  value       = module.catalog.database
}

output "workgroup" {
  description = "Name of the Athena workgroup."
  value       = module.catalog.workgroup
}

output "alarm_topic_arn" {
  description = "ARN of the topic that alarms and budget tell; subscribe a pager here."
  value       = module.alarms.topic_arn
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard."
  value       = module.alarms.dashboard
}

output "log_groups" {
  description = "Log group of each service; null where it does not run."
  value = {
    ingest         = module.ingest_task.log_group_name
    batch_consumer = module.batch_consumer_task.log_group_name
    aggregator     = module.aggregator_task.log_group_name
    query          = one(module.query_task[*].log_group_name)
    alerts         = one(module.alerts_task[*].log_group_name)
  }
}
