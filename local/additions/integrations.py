"""Integrations of WebSocket routes with something else than a function: AWS services, HTTP endpoints, mocks.

Each is given the message, or what a template makes of it, and answers with a status and a text.
"""

import json
import os
import re
from xml.etree import ElementTree

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from ministack.core.concurrency import run_reentrant
from ministack.services import apigateway
from ministack.services.apigateway_v1 import _parse_service_integration_uri as parse_service_uri

from additions.templates import choose, render


class Failed(Exception):
    """Of an integration. The client hears no more than that it failed; the log says why."""


def of(api_id, route):
    """The route's integration, or none."""
    return apigateway._integrations.get(api_id, {}).get(route.get("target", "").rpartition("/")[2])


def is_a_function(integration):
    return integration["integrationType"] in ("AWS", "AWS_PROXY") and "/functions/" in integration["integrationUri"]


async def call(api_id, integration, body, context, two_way):
    """The integration's answer, as a function would give it."""
    stage_variables = apigateway._get_stage_variables(api_id, context["stage"])
    headers = headers_for(integration, context, stage_variables)
    if integration["integrationType"] == "HTTP_PROXY":
        return reply(*await send(integration, body, headers))
    request = text_for(integration, body, context, stage_variables)
    status, answer = await send(integration, request, headers)
    response = response_for(api_id, integration, status)
    # A service that refused is a failure, unless there is a response for it.
    if response is None and (two_way or status >= 300):
        raise Failed(f"no integration response for the status {status}: {answer}")
    templates = (response or {}).get("responseTemplates") or {}
    template = choose(templates, (response or {}).get("templateSelectionExpression"), answer)
    return reply(status, answer if template is None else render(template, answer, context, stage_variables))


def reply(status, text):
    return {"statusCode": status, "body": text}


def headers_for(integration, context, stage_variables):
    headers = {}
    for target, source in (integration.get("requestParameters") or {}).items():
        place, _, name = target.rpartition(".")
        if place != "integration.request.header" or not source.startswith(("'", "context.", "stageVariables.")):
            raise Failed(f"the local cloud cannot set {target} to {source}")
        is_text = source.startswith("'")
        headers[name] = source.strip("'") if is_text else render(f"${source}", "", context, stage_variables)
    return headers


def text_for(integration, body, context, stage_variables):
    template = choose(integration.get("requestTemplates") or {}, integration.get("templateSelectionExpression"), body)
    if template is not None:
        return render(template, body, context, stage_variables)
    if integration.get("passthroughBehavior") == "NEVER":
        raise Failed("no template for the message, and it must not pass as it is")
    return body


def response_for(api_id, integration, status):
    """The integration response whose key, /a pattern/, matches the status, or the default one, or none."""
    responses = apigateway._integration_responses.get(api_id, {}).get(integration["integrationId"], {})
    by_key = {response["integrationResponseKey"]: response for response in responses.values()}
    matching = (response for key, response in by_key.items() if re.fullmatch(key.strip("/"), str(status)))
    return next(matching, by_key.get("$default"))


async def send(integration, text, headers):
    if integration["integrationType"] == "MOCK":
        # A mock's template says what status it answers with.
        return json.loads(text or "{}").get("statusCode", 200), ""
    post = post_to_service if integration["integrationType"] == "AWS" else post_to_endpoint
    try:
        # In a thread, as it may well come back to this process.
        return await run_reentrant(post, integration, text, headers)
    except (BotoCoreError, ClientError) as error:
        raise Failed(error) from error


def post_to_endpoint(integration, text, headers):
    return post(integration, AWSRequest(integration["integrationMethod"], integration["integrationUri"], headers, text))


def post_to_service(integration, text, headers):
    """Posts to a service of this cloud, with the integration's role: what it may not do, it cannot do here either."""
    uri = parse_service_uri(integration["integrationUri"])
    if not uri or uri[2] != "path" or not integration.get("credentialsArn"):
        raise Failed("the local cloud needs a URI arn:…:SERVICE:path/… and a role")
    region, service, _, path = uri
    request = AWSRequest(integration["integrationMethod"], f"{os.environ['AWS_ENDPOINT_URL']}/{path}", headers, text)
    SigV4Auth(assume(integration["credentialsArn"]), service, region).add_auth(request)
    status, answer = post(integration, request)
    return status, as_json(answer) if answer.startswith("<") else answer


def assume(role):
    session = botocore.session.get_session().create_client("sts").assume_role(
        RoleArn=role, RoleSessionName="BackplaneAssumeRoleSession"
    )["Credentials"]
    return Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])


def post(integration, request):
    answer = URLLib3Session(timeout=integration["timeoutInMillis"] / 1000).send(request.prepare())
    return answer.status_code, answer.text


def as_json(xml):
    """What API Gateway asks services for. MiniStack answers in XML all the same."""

    def value(element):
        return {child.tag.rpartition("}")[2]: value(child) for child in element} or element.text

    root = ElementTree.fromstring(xml)
    return json.dumps({root.tag.rpartition("}")[2]: value(root)})
