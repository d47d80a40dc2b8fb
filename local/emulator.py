"""Runs the emulator, MiniStack, as a child that lives no longer than its parent.

The parent holds this process's standard input open. When it closes, because the parent stopped or was
killed, this process ends, and with it every function that it started: they share its process group.

Three things are added to what MiniStack does:
- An API's endpoint is one that resolves on every machine. MiniStack's own, ID.execute-api.localhost, needs
  a resolver that knows names below localhost.
- An integration is remembered as it was asked for, as AWS does: else Terraform would see a drift.
- What functions log goes to standard output, a line at a time, with the function's name before it.
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

# Open sockets are waited for, then the state is written.
SECONDS_FOR_SOCKETS = 0.5
SECONDS_TO_END = 10


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
        if status == 201:
            api = apigateway._apis[json.loads(body)["apiId"]]
            api["apiEndpoint"] = f"ws://{host}/_aws/execute-api/{api['apiId']}"
            return apigateway._apigw_response(api, status)
        return status, headers, body

    apigateway._create_api = create_api


def remember_integrations_as_asked_for():
    create = apigateway._create_integration

    def create_integration(api_id, data):
        status, headers, body = create(api_id, data)
        if status == 201:
            integration = apigateway._integrations[api_id][json.loads(body)["integrationId"]]
            integration["templateSelectionExpression"] = data.get("templateSelectionExpression")
            integration["integrationMethod"] = data.get("integrationMethod")
            return apigateway._apigw_response(integration, status)
        return status, headers, body

    apigateway._create_integration = create_integration


def print_what_functions_log():
    emit = lambda_svc._emit_lambda_logs

    def emit_lambda_logs(func, request_id, log_text, *rest, **named):
        name = (func.get("config") or func).get("FunctionName", "unknown")
        for line in log_text.splitlines():
            print(f"{name}: {line}", flush=True)
        return emit(func, request_id, log_text, *rest, **named)

    lambda_svc._emit_lambda_logs = emit_lambda_logs


if __name__ == "__main__":
    hypercorn.config.Config.graceful_timeout = SECONDS_FOR_SOCKETS
    threading.Thread(target=end_with_parent, daemon=True).start()
    give_apis_an_endpoint_that_resolves()
    remember_integrations_as_asked_for()
    print_what_functions_log()
    app.main()
