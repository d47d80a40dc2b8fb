output "websocket_url" {
  description = "The URL that clients connect to."
  value       = module.websocket.websocket_url
}

output "management_endpoint" {
  description = "The URL for posts to connections."
  value       = module.websocket.management_endpoint
}

output "table_name" {
  description = "The name of the connection table."
  value       = module.websocket.table_name
}

output "queue_url" {
  description = "The URL of the queue whose messages reach clients."
  value       = module.publisher.queue_url
}

output "send_policy" {
  description = "The IAM policy document for senders to that queue."
  value       = module.publisher.send_policy
}

output "dead_letter_queue_url" {
  description = "The URL of the queue with the messages that could not be published."
  value       = module.publisher.dead_letter_queue_url
}

output "api_id" {
  description = "The API's id."
  value       = module.websocket.api_id
}
