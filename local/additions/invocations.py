"""A function's own policy: it says who may invoke the function, and has 20,480 bytes at most.

https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
"""

import json
import re

from ministack.core.responses import error_response_json
from ministack.services import apigateway, lambda_svc

from additions import instead_of

MOST_BYTES = 20_480


@instead_of(lambda_svc, "_add_permission")
def add_permission(add, name, *request, **named):
    """AWS refuses a permission that makes the policy longer than 20 KB.
    Source: https://repost.aws/knowledge-center/lambda-resource-based-policy-size-error
    For upstream.
    """
    answer = add(name, *request, **named)
    if answer[0] != 201:
        return answer
    statements = lambda_svc._functions[name]["policy"]["Statement"]
    policy = policy_of(statements[-1]["Resource"], statements)
    length = len(json.dumps(policy, separators=(",", ":")).encode())
    if length <= MOST_BYTES:
        return answer
    statements.pop()
    message = f"The final policy size ({length}) is bigger than the limit ({MOST_BYTES})."
    return error_response_json("PolicyLengthExceededException", message, 400)


def policy_of(resource, statements):
    """Each version and alias of a function has a policy of its own."""
    own = [statement for statement in statements if statement["Resource"] == resource]
    return {"Version": "2012-10-17", "Id": "default", "Statement": own}


def may_invoke(uri, source):
    """Whether API Gateway may invoke the function of this integration or authorizer for this ARN."""
    reference = apigateway._extract_lambda_ref_from_integration_uri(uri)
    name, qualifier = lambda_svc._resolve_name_and_qualifier(reference)
    function = lambda_svc._functions.get(name)
    if function is None:
        return False
    policy = policy_of(lambda_svc._policy_resource_arn(name, qualifier), function["policy"]["Statement"])
    return any(allows(statement, source) for statement in policy["Statement"])


def allows(statement, source):
    if statement["Principal"] != {"Service": "apigateway.amazonaws.com"}:
        return False
    pattern = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", "*")
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), source) is not None


@instead_of(apigateway, "_invoke_request_authorizer_lambda")
async def invoke_authorizer(invoke, authorizer, event, account, region):
    """AWS invokes an authorizer's function only where the function's policy allows that authorizer.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
    For upstream.
    """
    api = event.get("methodArn", "").partition("/")[0]
    if api and not may_invoke(authorizer["authorizerUri"], f"{api}/authorizers/{authorizer['authorizerId']}"):
        return None
    return await invoke(authorizer, event, account, region)
