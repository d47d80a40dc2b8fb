"""Runs the emulator, MiniStack, as a child that lives no longer than its parent.

The parent holds this process's standard input open. When it closes, because the parent stopped or was
killed, this process ends, and with it every function that it started: they share its process group.

What is added to what MiniStack does:
- An API's endpoint is one that resolves on every machine. MiniStack's own, ID.execute-api.localhost, needs
  a resolver that knows names below localhost.
- What functions log goes to standard output, a line at a time, with the function's name before it.
- A stage serves a deployment, not what the API is made of now (additions/deployments.py).
- Models, and the messages that do not match them (additions/models.py).
- Who may invoke a function, by its own policy (additions/invocations.py).
- Integrations with AWS services and HTTP endpoints (additions/integrations.py).
- What a client hears, and when it hears nothing (additions/messages.py).
- The sub-protocol that the function of $connect chose (additions/handshake.py).
- Resources are remembered as they were asked for (additions/memory.py, additions/alarms.py).
- What a caller's policies are asked (additions/permissions.py).
- Some calls of AWS that it lacks (additions/calls.py).
- Who may send to a queue, and take from it (additions/queues.py).
- A call that is made again, as its answer got lost, is not carried out again (additions/retries.py).
"""

import json
import os
import signal
import sys
import threading
import time

import hypercorn.config
from ministack import app
from ministack.services import apigateway, lambda_svc

# They act when they are imported.
from additions import (  # noqa: F401
    alarms,
    calls,
    check_signatures,
    deployments,
    handshake,
    instead_of,
    invocations,
    memory,
    messages,
    models,
    permissions,
    queues,
    references,
    retries,
)

# Open sockets are waited for, then the state is written.
SECONDS_FOR_SOCKETS = 0.5
SECONDS_TO_END = 10


def end_with_parent():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_END)
    os.killpg(0, signal.SIGKILL)


@instead_of(apigateway, "_create_api")
def create_api(create, data):
    """An API's endpoint is one that resolves on every machine. AWS gives each API a name below amazonaws.com.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-set-up-websocket-deployment.html
    Ours for good.
    """
    host = f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"
    status, headers, body = create(data)
    if status == 201:
        api = apigateway._apis[json.loads(body)["apiId"]]
        api["apiEndpoint"] = f"ws://{host}/_aws/execute-api/{api['apiId']}"
        return apigateway._apigw_response(api, status)
    return status, headers, body


@instead_of(lambda_svc, "_emit_lambda_logs")
def emit_lambda_logs(emit, func, request_id, log_text, *rest, **named):
    """What functions log goes to standard output, a line at a time, with the function's name before it.
    At AWS it is in CloudWatch Logs. Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    Ours for good.
    """
    name = (func.get("config") or func).get("FunctionName", "unknown")
    for line in log_text.splitlines():
        print(f"{name}: {line}", flush=True)
    return emit(func, request_id, log_text, *rest, **named)


if __name__ == "__main__":
    check_signatures()
    hypercorn.config.Config.graceful_timeout = SECONDS_FOR_SOCKETS
    threading.Thread(target=end_with_parent, daemon=True).start()
    app.main()
