"""What a caller's policies are asked, where MiniStack asks less than AWS, or asks it of another resource."""

import contextvars
import re
from urllib.parse import parse_qs, unquote

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import apigateway, iam, lambda_svc

from additions import instead_of

FUNCTIONS = re.compile(r"/2015-03-31/functions/?")
MAPPING = re.compile(r"/2015-03-31/event-source-mappings/([^/]+)/?")
MAPPING_ACTIONS = {"GET": "GetEventSourceMapping", "PUT": "UpdateEventSourceMapping", "DELETE": "DeleteEventSourceMapping"}
CONCURRENCY = re.compile(r"/[^/]+/functions/[^/]+/concurrency/?")
API = re.compile(r"/v2/apis/([^/]+)/?")
RECURSION = re.compile(r"/[^/]+/functions/[^/]+/recursion-config/?")

# The request that is being checked: its path and its body.
request = contextvars.ContextVar("request", default=("", b""))


@instead_of(app, "pin_request_origin")
def play_https(pin, source_ip, secure_transport):
    """What is plain HTTP here is HTTPS at AWS: a policy that asks for it is content.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    Ours for good.
    """
    return pin(source_ip, True)


@instead_of(iam_actions, "extract_iam_action")
def action(extract, service, method, path, headers, body, query):
    """AWS has actions of their own for one event source mapping, for deleting a concurrency, and for recursion.
    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    For upstream.
    """
    request.set((path, body))
    if service == "lambda" and MAPPING.fullmatch(path):
        return f"lambda:{MAPPING_ACTIONS.get(method)}"
    if service == "lambda" and method == "DELETE" and CONCURRENCY.fullmatch(path):
        return "lambda:DeleteFunctionConcurrency"
    if service == "lambda" and RECURSION.fullmatch(path):
        return f"lambda:{method.capitalize()}FunctionRecursionConfig"
    return extract(service, method, path, headers, body, query)


@instead_of(iam_actions, "extract_resource_arn")
def resource(extract, service, method, path, headers, body, query, region, account):
    """AWS asks about the one function, table, alarm or dashboard, and about all log groups where it lists them.
    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    (for log groups: https://github.com/hashicorp/terraform-provider-aws/issues/8804). For upstream.
    """
    if service not in ("lambda", "dynamodb", "logs", "monitoring"):
        return extract(service, method, path, headers, body, query, region, account)

    def asked(*names):
        return iam_actions._param(body, query, *names)

    operation = (iam_actions._action_from_target(headers) or asked("Action")).rpartition(":")[2]
    if service == "lambda" and FUNCTIONS.fullmatch(path) and asked("FunctionName"):
        return f"arn:aws:lambda:{region}:{account}:function:{asked('FunctionName')}"
    if service == "dynamodb" and asked("ResourceArn"):
        return asked("ResourceArn")
    if service == "logs" and operation == "DescribeLogGroups":
        return f"arn:aws:logs:{region}:{account}:log-group::log-stream:"
    if service == "monitoring":
        if asked("ResourceARN"):
            return asked("ResourceARN")
        if operation == "DescribeAlarms":
            return f"arn:aws:cloudwatch:{region}:{account}:alarm:*"
        if dashboard := asked("DashboardName", "DashboardNames.member.1"):
            return f"arn:aws:cloudwatch::{account}:dashboard/{dashboard}"
        if alarm := asked("AlarmNames.member.1"):
            return f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}"
    return extract(service, method, path, headers, body, query, region, account)


@instead_of(iam_actions, "request_tag_context")
def tags_of_request(find, service, iam_action, body, params):
    """API Gateway's actions are methods, by which MiniStack finds no tags. AWS lets policies ask about tags.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-iam-policy.html
    For upstream.
    """
    if service != "apigateway":
        return find(service, iam_action, body, params)
    tags = iam_actions._safe_json_field(body, "tags") or {}
    removed = params.get("tagKeys", [])
    keys = [*tags, *([removed] if isinstance(removed, str) else removed)]
    context = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    return context | ({"aws:TagKeys": keys} if keys else {})


@instead_of(iam_evaluator, "enforce")
def enforce(check, access_key, iam_action, service, region, resource_arn="*", service_context=None):
    """AWS asks for iam:PassRole, too, and tells policies a mapping's function, an API's tags and a role's boundary.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    (for mappings: https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html). For upstream.
    """
    path, body = request.get()
    context = dict(service_context or {})
    if service == "lambda" and iam_action.endswith("EventSourceMapping"):
        context["lambda:FunctionArn"] = function_of_mapping(path, body, region)
    if service == "apigateway" and (found := API.fullmatch(path)):
        tags = apigateway._apis.get(found.group(1), {}).get("tags") or {}
        context |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
    if service == "iam" and (boundary := boundary_of_role(body)):
        context["iam:PermissionsBoundary"] = boundary
    denied = check(access_key, iam_action, service, region, resource_arn=resource_arn, service_context=context)
    if denied or iam_action not in ("lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"):
        return denied
    role = iam_actions._safe_json_field(body, "Role")
    if not role:
        return None
    # Who gives a function a role passes that role on.
    passed = {"iam:PassedToService": "lambda.amazonaws.com"}
    return check(access_key, "iam:PassRole", "iam", region, resource_arn=role, service_context=passed)


def function_of_mapping(path, body, region):
    found = MAPPING.fullmatch(path)
    if found:
        return lambda_svc._esms.get(unquote(found.group(1)), {}).get("FunctionArn", "")
    name = iam_actions._safe_json_field(body, "FunctionName")
    return name if name.startswith("arn:") else f"arn:aws:lambda:{region}:{get_account_id()}:function:{name}"


def boundary_of_role(body):
    """The permissions boundary that a request gives a role, or else that the role has."""
    asked = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
    return asked.get("PermissionsBoundary") or (iam._roles.get(asked.get("RoleName")) or {}).get("PermissionsBoundary")
