output "topic_arn" {
  description = "Who is notified of alarms."
  value       = aws_sns_topic.this.arn
}

output "alarms" {
  description = "What each alarm says and looks at."
  value       = local.alarms
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
