"""The sub-protocol that the function of $connect chose is the one of the connection: a browser closes it otherwise."""

import contextvars

from ministack.services import apigateway

from additions import instead_of

chosen = contextvars.ContextVar("chosen")


@instead_of(apigateway, "handle_websocket")
async def handle_websocket(handle, scope, receive, send, *rest, **named):
    choice = {}

    async def send_with_choice(message):
        await send(message | choice if message["type"] == "websocket.accept" else message)

    chosen.set(choice)
    await handle(scope, receive, send_with_choice, *rest, **named)


@instead_of(apigateway, "_invoke_ws_lambda")
async def invoke(invoke_function, api_id, account, region, route, stage, connection, event, *rest, **named):
    reply = await invoke_function(api_id, account, region, route, stage, connection, event, *rest, **named)
    if event == "CONNECT":
        headers = (reply or {}).get("headers") or {}
        protocol = next((value for name, value in headers.items() if name.lower() == "sec-websocket-protocol"), None)
        if protocol:
            chosen.get()["subprotocol"] = protocol
    return reply
