"""Runs the emulator, MiniStack, as a child that lives no longer than its parent.

The parent holds this process's standard input open. When it closes, because the parent stopped or was
killed, this process ends, and with it every function that it started: they share its process group.

Two things are added to what MiniStack does:
- An API's endpoint is one that resolves on every machine. MiniStack's own, ID.execute-api.localhost, needs
  a resolver that knows names below localhost.
- What functions log goes to standard output, a line at a time, with the function's name before it.
"""

import json
import os
import signal
import sys
import threading
import time

from ministack import app
from ministack.services import apigateway, lambda_svc

SECONDS_TO_END = 3


def end_with_parent():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS_TO_END)
    os.killpg(0, signal.SIGKILL)


def give_apis_an_endpoint_that_resolves():
    create = apigateway._create_api
    host = f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"

    def create_api(data):
        status, headers, body = create(data)
        api = json.loads(body)
        if api.get("protocolType") == "WEBSOCKET":
            api["apiEndpoint"] = f"ws://{host}/_aws/execute-api/{api['apiId']}"
            apigateway._apis[api["apiId"]]["apiEndpoint"] = api["apiEndpoint"]
            body = json.dumps(api).encode()
        return status, headers, body

    apigateway._create_api = create_api


def print_what_functions_log():
    emit = lambda_svc._emit_lambda_logs

    def emit_lambda_logs(func, request_id, log_text, *rest, **named):
        name = (func.get("config") or func).get("FunctionName", "unknown")
        for line in log_text.splitlines():
            print(f"{name}: {line}", flush=True)
        return emit(func, request_id, log_text, *rest, **named)

    lambda_svc._emit_lambda_logs = emit_lambda_logs


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    give_apis_an_endpoint_that_resolves()
    print_what_functions_log()
    app.main()
