# Each service made its own task before; what was made so stays as it is.

moved {
  from = module.ingest.module.task
  to   = module.ingest_task
}

moved {
  from = module.batch_consumer.module.task
  to   = module.batch_consumer_task
}

moved {
  from = module.aggregator.module.task
  to   = module.aggregator_task
}

moved {
  from = module.aggregator_watch[0].module.task
  to   = module.aggregator_watch_task[0]
}
