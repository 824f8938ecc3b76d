output "database" {
  description = "Name of the Glue database."
  value       = aws_glue_catalog_database.lake.name
}

output "workgroup" {
  description = "Name of the Athena workgroup."
  value       = aws_athena_workgroup.lake.name
}

output "tables" {
  description = "Names of the tables."
  value       = concat([aws_glue_catalog_table.raw.name, aws_glue_catalog_table.aggregates.name], [for table in aws_glue_catalog_table.curated : table.name])
}
