output "websocket_url" {
  description = "Where clients connect."
  value       = module.websocket.websocket_url
}

output "management_endpoint" {
  description = "Where messages are posted to connections."
  value       = module.websocket.management_endpoint
}

output "table_name" {
  description = "The name of the connection table."
  value       = module.websocket.table_name
}

output "api_id" {
  description = "The API's id."
  value       = module.websocket.api_id
}
