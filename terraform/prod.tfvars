stage              = "prod"
log_retention_days = 90
throttling         = { rate_limit = 5000, burst_limit = 2500 }
