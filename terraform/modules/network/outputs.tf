output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id

  # Whoever starts tasks in the subnets needs a way out of them.
  depends_on = [aws_route.internet, aws_route.nat]
}

output "public_subnet_ids" {
  description = "Public subnets, one for each zone."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Private subnets, one for each zone; none where `private` is false."
  value       = [for zone in keys(local.private) : aws_subnet.private[zone].id]
}
