output "topic_arn" {
  description = "ARN of the topic that alarms and budget tell; subscribe a pager here."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard."
  value       = aws_cloudwatch_dashboard.headwater.dashboard_name
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = concat([for alarm in aws_cloudwatch_metric_alarm.alarm : alarm.alarm_name], [aws_cloudwatch_metric_alarm.server_errors.alarm_name])
}
