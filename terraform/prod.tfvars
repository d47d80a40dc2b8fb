stage              = "prod"
log_retention_days = 90
throttling         = { rate_limit = 5000, burst_limit = 2500 }
alarms             = {} # with the ARN of an SNS topic in actions, somebody hears of them
dashboard          = true
