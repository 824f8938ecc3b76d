output "headwater" {
  description = "All that the deployment says of itself."
  value       = module.headwater
}

output "url" {
  description = "Where clients send events."
  value       = module.headwater.url
}
