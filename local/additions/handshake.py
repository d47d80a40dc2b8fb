"""The sub-protocol of a connection: the one that the function of $connect answered with.

MiniStack chooses none, and a browser that offered some gives up then.
"""

from contextvars import ContextVar

from ministack.services import apigateway

from additions import instead_of

# Of the connection that the current task serves.
chosen = ContextVar("chosen", default=None)


@instead_of(apigateway, "_invoke_ws_lambda")
async def invoke(invoke_integration, api_id, account, region, route, stage, connection, event, *rest, **named):
    """AWS takes the sub-protocol from the header Sec-WebSocket-Protocol of the answer to $connect.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-connect-route-subprotocol.html
    For upstream.
    """
    reply = await invoke_integration(api_id, account, region, route, stage, connection, event, *rest, **named)
    if event == "CONNECT" and reply:
        headers = {name.lower(): value for name, value in (reply.get("headers") or {}).items()}
        chosen.set(headers.get("sec-websocket-protocol"))
    return reply


@instead_of(apigateway, "handle_websocket")
async def handle_websocket(handle, scope, receive, send, *rest, **named):
    """AWS tells the client the sub-protocol that was chosen.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-connect-route-subprotocol.html
    For upstream.
    """
    async def send_with_subprotocol(message):
        if message["type"] == "websocket.accept":
            message = message | {"subprotocol": chosen.get()}
        await send(message)

    await handle(scope, receive, send_with_subprotocol, *rest, **named)
