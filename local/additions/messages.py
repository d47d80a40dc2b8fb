"""What becomes of an event of a connection, from the route to what the client hears.

- A message that does not match its route's model is refused, and the integration is not called.
- A client hears from an integration only on a route with a route response.
- It hears of a failed integration on every route, and not why it failed.
- Every event of a connection tells when the connection was established.
"""

import json
import logging

from ministack.services import apigateway

from additions import instead_of, integrations, invocations, models
from additions.integrations import Failed

logger = logging.getLogger("apigateway")


# When each connection was established. They are few enough on this machine to remember them all.
connected_at = {}


@instead_of(apigateway, "_ws_request_context")
def request_context(make, api_id, route_key, stage, connection, *rest):
    """At AWS connectedAt is when the connection was established; MiniStack has the event's time there. Source:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference
    For upstream.
    """
    context = make(api_id, route_key, stage, connection, *rest)
    return context | {"connectedAt": connected_at.setdefault(connection, context["connectedAt"])}


@instead_of(apigateway, "_invoke_ws_lambda")
async def invoke(
    invoke_function, api_id, account, region, route, stage, connection, event, request, body, source_ip, headers, **rest
):
    """AWS checks messages by models, calls services too, answers through route responses, and tells failures, not why.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
    (for failures: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html). For upstream.
    """
    context = apigateway._ws_request_context(
        api_id, route["routeKey"], stage, connection, event, request, source_ip, headers
    )
    context |= {"messageId": request, "authorizer": rest.get("authorizer") or {}}
    is_message, two_way = event == "MESSAGE", has_a_response(api_id, route)
    if is_message and not models.accepts(api_id, route, body):
        return tell("Bad request body", context)
    integration = integrations.of(api_id, route)
    try:
        if integration is None:
            return None
        if integrations.is_a_function(integration):
            source = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage}/{route['routeKey']}"
            if not invocations.may_invoke(integration["integrationUri"], source):
                raise Failed("the function's policy does not let API Gateway invoke it")
            reply = checked(await invoke_function(
                api_id, account, region, route, stage, connection, event, request, body, source_ip, headers, **rest
            ))
        else:
            reply = await integrations.call(api_id, integration, body, context, two_way)
    except Failed as reason:
        logger.warning("WebSocket API %s, route %s: %s", api_id, route["routeKey"], reason)
        return tell("Internal server error", context) if is_message else {"statusCode": 500}
    return reply if two_way or not is_message else None


def has_a_response(api_id, route):
    responses = apigateway._route_responses.get(api_id, {}).get(route["routeId"])
    return bool(responses and route.get("routeResponseSelectionExpression"))


def tell(message, context):
    """A message of the gateway itself."""
    ids = {"connectionId": context["connectionId"], "requestId": context["requestId"]}
    return {"statusCode": 200, "body": json.dumps({"message": message} | ids)}


def checked(reply):
    """The reply of a function. MiniStack gives an error of it, or too many calls, as such a status."""
    status = int(reply.get("statusCode", 200)) if isinstance(reply, dict) else None
    if status is None or status == 429 or status >= 500:
        raise Failed(reply)
    return reply
