"""Calls that MiniStack does not know, or takes for others."""

import json
import re
from urllib.parse import unquote

from ministack.core import iam_actions
from ministack.core.responses import error_response_json, json_response
from ministack.services import apigateway, cloudwatch_logs

from additions import instead_of

PART = re.compile(r"/v2/apis/([^/]+)/(stages|routes)/([^/]+)/(accesslogsettings|routesettings|requestparameters)/?(.*)")
FIELDS = {
    "accesslogsettings": "accessLogSettings",
    "requestparameters": "requestParameters",
    "routesettings": "routeSettings",
}


@instead_of(apigateway, "handle_request")
async def delete_part(handle, method, path, headers, body, query):
    """DeleteAccessLogSettings and the like. MiniStack would delete the whole stage, or the whole route.
    Source: https://docs.aws.amazon.com/goto/WebAPI/apigatewayv2-2018-11-29/DeleteAccessLogSettings
    For upstream.
    """
    found = PART.fullmatch(path)
    if not found or method != "DELETE":
        return await handle(method, path, headers, body, query)
    api_id, kind, name, part, key = found.groups()
    store = apigateway._stages if kind == "stages" else apigateway._routes
    record = store.get(api_id, {}).get(unquote(name))
    if record is None:
        return apigateway._apigw_error("NotFoundException", f"Invalid {kind[:-1]} identifier specified", 404)
    if key:
        record.get(FIELDS[part], {}).pop(unquote(key), None)
    else:
        record.pop(FIELDS[part], None)
    return 204, {}, b""


@instead_of(cloudwatch_logs, "handle_request")
async def associate_key(handle, method, path, headers, body, query):
    """AssociateKmsKey and DisassociateKmsKey, for the key of a log group that is there already.
    Source: https://docs.aws.amazon.com/goto/WebAPI/logs-2014-03-28/AssociateKmsKey
    For upstream.
    """
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    if action not in ("AssociateKmsKey", "DisassociateKmsKey"):
        return await handle(method, path, headers, body, query)
    asked = json.loads(body)
    group = cloudwatch_logs._log_groups.get(asked.get("logGroupName"))
    if group is None:
        return error_response_json("ResourceNotFoundException", "The specified log group does not exist.", 400)
    group["kmsKeyId"] = asked.get("kmsKeyId")
    return json_response({})


@instead_of(iam_actions, "extract_resource_arn")
def resource(extract, service, *request, **named):
    """What a policy has to allow: the ARN, where AWS is asked for a parameter by it. MiniStack takes it for a name.
    Source: https://docs.aws.amazon.com/goto/WebAPI/ssm-2014-11-06/GetParameter
    For upstream.
    """
    arn = extract(service, *request, **named)
    return arn.partition(":parameter/")[2] if arn and ":parameter/arn:" in arn else arn
