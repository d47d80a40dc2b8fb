# A stack that a test changes bit by bit, while a client stays connected.

terraform {
  required_version = ">= 1.9"
}

variable "code" {
  type    = string
  default = "first"
}

variable "stored_code" {
  type    = string
  default = "first"
}

variable "warm" {
  type    = number
  default = 0
}

variable "more_routes" {
  type    = set(string)
  default = []
}

variable "required" {
  description = "What the model asks for; empty: there is none."
  type        = string
  default     = "action"
}

variable "token" {
  description = "The query parameter that the authorizer is asked about; empty: nobody is asked."
  type        = string
  default     = "token"
}

module "websocket" {
  source = "../../../modules/websocket-api"

  name = "upgrade"

  functions = {
    talk   = { package = "${var.code}.zip", runtime = "python3.12", handler = "${var.code}.handler", provisioned_concurrency = var.warm }
    stored = { s3 = { bucket = aws_s3_object.package.bucket, key = aws_s3_object.package.key, version = aws_s3_object.package.version_id }, runtime = "python3.12", handler = "${var.stored_code}.handler" }
    guard  = { zip = { path = terraform_data.built.output.path, hash = terraform_data.built.output.hash }, runtime = "python3.12", handler = "first.guard" }
  }

  routes = merge({
    "$connect" = { function = "talk" }
    talk       = { function = "talk", two_way = true, request_model = var.required == "" ? null : jsonencode({ type = "object", required = [var.required] }) }
    stored     = { function = "stored", two_way = true }
  }, { for key in var.more_routes : key => { mock = jsonencode({ type = key }) } })

  authorizer = var.token == "" ? null : { function = "guard", identity_sources = ["route.request.querystring.${var.token}"] }
}

# A zip that is known only once it is built.
resource "terraform_data" "built" {
  input = { path = "first.zip", hash = filebase64sha256("first.zip") }
}

resource "aws_s3_bucket" "packages" {
  bucket        = "upgrade-packages"
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "packages" {
  bucket = aws_s3_bucket.packages.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_object" "package" {
  bucket      = aws_s3_bucket_versioning.packages.bucket
  key         = "package.zip"
  source      = "${var.stored_code}.zip"
  source_hash = filemd5("${var.stored_code}.zip")
}

output "websocket_url" {
  value = module.websocket.websocket_url
}
