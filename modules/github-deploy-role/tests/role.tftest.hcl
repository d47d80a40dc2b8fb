# Who takes the role on, and what it may do.

mock_provider "aws" {
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws-cn:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-cn:iam::123456789012:role/deploy" }
  }

  mock_data "aws_region" {
    defaults = { id = "cn-north-1" }
  }
}

variables {
  name       = "deploy"
  access     = "deploy"
  repository = "owner/name"
  jobs       = ["environment:dev"]
  names      = "chat-dev"
  state      = { bucket = { arn = "arn:aws-cn:s3:::state" }, keys = ["dev.tfstate"] }
}

run "only_these_jobs_of_this_repository_take_it_on" {
  variables {
    access = "plan"
    jobs   = ["pull_request", "ref:refs/heads/main"]
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = "arn:aws-cn:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
      Condition = { StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:owner/name:pull_request", "repo:owner/name:ref:refs/heads/main"]
      } }
    }]
    error_message = "others take the role on: ${aws_iam_role.this.assume_role_policy}"
  }
}

run "newer_repositories_name_themselves_by_numbers" {
  variables {
    repository = "owner@12/name@345"
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == [
      "repo:owner/name:environment:dev",
      "repo:owner@12/name@345:environment:dev",
    ]
    error_message = "others take the role on: ${aws_iam_role.this.assume_role_policy}"
  }
}

run "a_provider_that_is_there_is_used" {
  variables {
    oidc_provider = { arn = "arn:aws-cn:iam::123456789012:oidc-provider/there" }
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "an account has one provider for an issuer"
  }

  assert {
    condition = alltrue([
      jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal.Federated == "arn:aws-cn:iam::123456789012:oidc-provider/there",
      output.oidc_provider.arn == "arn:aws-cn:iam::123456789012:oidc-provider/there",
    ])
    error_message = "another provider is trusted: ${aws_iam_role.this.assume_role_policy}"
  }
}

run "who_plans_reads" {
  variables {
    access = "plan"
  }

  assert {
    condition = alltrue([for action in flatten(jsondecode(aws_iam_role_policy.this.policy).Statement[*].Action) :
    can(regex("^[a-z0-9]+:(Describe|Get|List|GET$)", action))])
    error_message = "an action is none of reading: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if contains(s.Action, "s3:GetObject")] == [["arn:aws-cn:s3:::state/dev.tfstate"]]
    error_message = "more than the state is read: ${aws_iam_role_policy.this.policy}"
  }
}

run "who_deploys_changes_what_bears_the_stacks_names" {
  assert {
    condition = alltrue([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : alltrue([for resource in s.Resource : anytrue([
      can(regex(":(alarm|function|role|table)[:/]chat-dev-\\*$|:dashboard/chat-dev(-\\*)?$|:123456789012:chat-dev-\\*$|:log-group:/aws/lambda/chat-dev-\\*$", resource)),
      startswith(resource, "arn:aws-cn:s3:::state"),
      # What has no name, or is asked for all at once.
      can(regex("^arn:aws-cn:apigateway:cn-north-1::/(apis(/\\*)?|tags/arn%3Aaws-cn%3Aapigateway%3Acn-north-1%3A%3A%2F(v2%2F)?apis%2F\\*)$", resource)),
      resource == "arn:aws-cn:lambda:cn-north-1:123456789012:event-source-mapping:*",
      resource == "*" && s.Action == ["lambda:CreateEventSourceMapping"] && can(s.Condition.StringLike["lambda:FunctionArn"]),
      s.Action == ["cloudwatch:DescribeAlarms"] || s.Action == ["logs:DescribeLogGroups"],
    ])])])
    error_message = "a resource is not the stack's: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s if contains(s.Action, "iam:PassRole")] == [{
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = ["arn:aws-cn:iam::123456789012:role/chat-dev-*"]
      Condition = { StringEquals = { "iam:PassedToService" = "lambda.amazonaws.com" } }
    }]
    error_message = "a role is passed on to others than Lambda: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition = sort(flatten([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : [for action in s.Action : action if endswith(action, "FunctionRecursionConfig")]
    if s.Resource == ["arn:aws-cn:lambda:cn-north-1:123456789012:function:chat-dev-*"]])) == tolist(["lambda:GetFunctionRecursionConfig", "lambda:PutFunctionRecursionConfig"])
    error_message = "the publisher's function cannot be allowed to call itself by its queue: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if contains(s.Action, "s3:DeleteObject")] == [["arn:aws-cn:s3:::state/dev.tfstate.tflock"]]
    error_message = "nothing is deleted in the bucket but locks: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition     = length(replace(aws_iam_role_policy.this.policy, "/\\s/", "")) <= 10240
    error_message = "AWS takes 10,240 characters of policies in a role"
  }
}

run "what_it_may_do_besides_is_granted" {
  variables {
    statements = {
      read  = [{ actions = ["secretsmanager:DescribeSecret"], resources = ["arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:chat-dev-*"] }]
      write = [{ actions = ["apigateway:PATCH", "apigateway:POST"], resources = ["arn:aws-cn:apigateway:cn-north-1::/domainnames/*"] }]
    }
  }

  assert {
    condition = alltrue([for statement in [
      { Effect = "Allow", Action = ["secretsmanager:DescribeSecret"], Resource = ["arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:chat-dev-*"] },
      { Effect = "Allow", Action = ["apigateway:PATCH", "apigateway:POST"], Resource = ["arn:aws-cn:apigateway:cn-north-1::/domainnames/*"] },
    ] : contains(jsondecode(aws_iam_role_policy.this.policy).Statement, statement)])
    error_message = "not all is granted: ${aws_iam_role_policy.this.policy}"
  }
}

run "who_plans_reads_besides" {
  variables {
    access = "plan"
    statements = {
      read  = [{ actions = ["route53:ListResourceRecordSets"], resources = ["*"] }]
      write = [{ actions = ["route53:ChangeResourceRecordSets"], resources = ["*"] }]
    }
  }

  assert {
    condition     = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Action if s.Resource == ["*"]] == [["route53:ListResourceRecordSets"]]
    error_message = "more is granted than to read, or less: ${aws_iam_role_policy.this.policy}"
  }
}

run "who_plans_is_given_nothing_to_change" {
  command = plan

  variables {
    access     = "plan"
    statements = { read = [{ actions = ["route53:ChangeResourceRecordSets"], resources = ["*"] }] }
  }

  expect_failures = [var.statements]
}

run "all_is_no_action" {
  command = plan

  variables {
    statements = { write = [{ actions = ["*"], resources = ["*"] }] }
  }

  expect_failures = [var.statements]
}

run "each_stack_has_its_own_api" {
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Condition if contains(s.Resource, "arn:aws-cn:apigateway:cn-north-1::/apis") && s.Action != ["apigateway:GET"]] == [
      { StringEquals = { "aws:RequestTag/stack" = "chat-dev" } },
    ]
    error_message = "an API without the stack's tag is made: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Condition if s.Resource == ["arn:aws-cn:apigateway:cn-north-1::/apis/*"]] == [
      { StringEqualsIfExists = { "aws:RequestTag/stack" = "chat-dev", "aws:ResourceTag/stack" = "chat-dev" } },
    ]
    error_message = "the API of another stack is changed: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition = alltrue([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : (
      try(s.Condition.StringEqualsIfExists["aws:RequestTag/stack"], null) == "chat-dev" || try(s.Condition["ForAllValues:StringNotEquals"]["aws:TagKeys"], null) == "stack"
    ) if strcontains(s.Resource[0], ":/tags/")])
    error_message = "the tag is given to another stack, or taken away: ${aws_iam_role_policy.this.policy}"
  }
}

run "without_a_boundary_no_role_is_made_where_one_is_required" {
  variables {
    required_boundary = "arn:aws-cn:iam::123456789012:policy/bounds"
  }

  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s if contains(s.Action, "iam:CreateRole")] == [{
      Effect    = "Allow"
      Action    = ["iam:CreateRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PutRolePermissionsBoundary"]
      Resource  = ["arn:aws-cn:iam::123456789012:role/chat-dev-*"]
      Condition = { StringEquals = { "iam:PermissionsBoundary" = "arn:aws-cn:iam::123456789012:policy/bounds" } }
    }]
    error_message = "a role without it is made: ${aws_iam_role_policy.this.policy}"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this.policy, "DeleteRolePermissionsBoundary")
    error_message = "the boundary is taken away: ${aws_iam_role_policy.this.policy}"
  }
}
