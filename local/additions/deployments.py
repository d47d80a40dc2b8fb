"""A stage serves a deployment: what the API was made of when the deployment was made, and not what it is made of now.

- A deployment holds the API's routes, integrations, authorizers, models, and the responses of routes and integrations.
- A stage with automatic deployments is given a new one when one of these changes.
- A stage without a deployment, or one that is not there, refuses clients.

AWS makes automatic deployments a moment later; here they are made at once.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-set-up-websocket-deployment.html
"""

import copy
import re
from contextvars import ContextVar

from ministack.core.responses import AccountRegionScopedDict, new_uuid
from ministack.services import apigateway

from additions import instead_of, models
from additions.references import refuse, routes

# What a deployment holds, by the store that it is in.
STORES = {
    "apis": apigateway._apis,
    "authorizers": apigateway._authorizers,
    "integration_responses": apigateway._integration_responses,
    "integrations": apigateway._integrations,
    "models": models._models,
    "route_responses": apigateway._route_responses,
    "routes": apigateway._routes,
}
CHANGE = re.compile(r"/v2/apis/([^/]+)(?:/(?:authorizers|integrations|models|routes)(?:/.*)?)?")

# By the API's id: copies of its part of each store, by the deployment's id.
_snapshots = AccountRegionScopedDict()

# The stage that the current task serves, and the snapshot for its current event.
stage = ContextVar("stage")
snapshot = ContextVar("snapshot", default=None)


class Store(AccountRegionScopedDict):
    """In an event of a connection it holds what the snapshot holds."""

    __slots__ = ()

    def get(self, api_id, default=None):
        served = snapshot.get()
        if served is None:
            return super().get(api_id, default)
        return next(served[name] for name, store in STORES.items() if store is self)


for store in STORES.values():
    store.__class__ = Store


@instead_of(apigateway, "handle_websocket")
async def handle_websocket(handle, scope, receive, send, api_id, path_override=None):
    """AWS lets nobody call an API before a stage has a deployment. (No source was found for the status, 403.)
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-set-up-websocket-deployment.html
    For upstream.
    """
    path = scope.get("path", "") if path_override is None else path_override
    stage.set(path.lstrip("/").partition("/")[0])
    _, account, region = apigateway._api_owner(api_id) or (None, None, None)
    served = apigateway._stages.get_scoped(account, region, api_id, {}).get(stage.get(), {})
    if served.get("deploymentId"):
        return await handle(scope, receive, send, api_id, path_override)
    await receive()
    await apigateway._refuse_ws_handshake(scope, send, 403, "Forbidden", new_uuid(), new_uuid())


@instead_of(apigateway, "_match_ws_route")
def match_route(match, api_id, route_key):
    """AWS serves a snapshot. Every event begins with this: it takes the snapshot that the stage serves now.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-set-up-websocket-deployment.html
    For upstream.
    """
    deployment_id = apigateway._stages.get(api_id, {}).get(stage.get(), {}).get("deploymentId")
    snapshot.set(_snapshots.get(api_id, {}).get(deployment_id, dict.fromkeys(STORES, {})))
    return match(api_id, route_key)


def keep_snapshot(api_id, deployment_id):
    held = {name: copy.deepcopy(store.get(api_id, {})) for name, store in STORES.items()}
    _snapshots.setdefault(api_id, {})[deployment_id] = held


@instead_of(apigateway, "_create_deployment")
def create_deployment(create, api_id, data):
    """AWS refuses to deploy an API without routes. A deployment holds the API as it is now.
    Source: https://github.com/aws/serverless-application-model/issues/2512
    For upstream.
    """
    if api_id in apigateway._apis and not routes(api_id):
        return refuse("At least one route is required before deploying the Api", "BadRequestException", 400)
    before = set(apigateway._deployments.get(api_id, {}))
    answer = create(api_id, data)
    for deployment_id in set(apigateway._deployments.get(api_id, {})) - before:
        keep_snapshot(api_id, deployment_id)
    return answer


@instead_of(apigateway, "_delete_deployment")
def delete_deployment(delete, api_id, deployment_id):
    """At AWS the snapshot is the deployment, so it goes with it.
    Source: none found. For upstream.
    """
    answer = delete(api_id, deployment_id)
    if answer[0] == 204:
        _snapshots.get(api_id, {}).pop(deployment_id, None)
    return answer


@instead_of(apigateway, "handle_request")
async def handle_request(handle, method, path, *request):
    """AWS deploys a change of the API to each stage that has autoDeploy.
    Source: https://docs.aws.amazon.com/goto/WebAPI/apigatewayv2-2018-11-29/UpdateStage
    For upstream.
    """
    answer = await handle(method, path, *request)
    changed = CHANGE.fullmatch(path.rstrip("/"))
    if changed and method in ("POST", "PATCH", "DELETE") and answer[0] < 300:
        for served in apigateway._stages.get(changed[1], {}).values():
            if served.get("autoDeploy"):
                deploy(changed[1], served)
    return answer


@instead_of(apigateway, "_create_stage")
def create_stage(create, api_id, data):
    """AWS refuses a deployment's id beside autoDeploy, and gives a stage with autoDeploy its first deployment.
    Source: none found. (For UpdateStage there is one.) For upstream.
    """
    return contradiction(data) or deployed(api_id, data["stageName"], create(api_id, data))


@instead_of(apigateway, "_update_stage")
def update_stage(update, api_id, name, data):
    """AWS refuses a deployment's id where the stage has autoDeploy, and deploys when it gets autoDeploy.
    Source: https://docs.aws.amazon.com/goto/WebAPI/apigatewayv2-2018-11-29/UpdateStage
    For upstream.
    """
    before = apigateway._stages.get(api_id, {}).get(name, {}).get("autoDeploy", False)
    return contradiction({"autoDeploy": before} | data) or deployed(api_id, name, update(api_id, name, data), before)


def contradiction(data):
    """The refusal of a stage with both kinds of deployments; else None."""
    if data.get("autoDeploy") and data.get("deploymentId"):
        message = "Deployment ID cannot be set on this stage because AutoDeploy is enabled"
        return refuse(message, "BadRequestException", 400)
    return None


def deployed(api_id, name, answer, was_automatic=False):
    """The answer about a stage, which is given its first automatic deployment at once."""
    served = apigateway._stages.get(api_id, {}).get(name, {})
    if answer[0] >= 300 or was_automatic or not served.get("autoDeploy"):
        return answer
    deploy(api_id, served)
    return apigateway._apigw_response(served, answer[0])


def deploy(api_id, served):
    """An automatic deployment. The one before it goes, unless somebody made it who may still want it."""
    if not routes(api_id):
        return
    deployments = apigateway._deployments.setdefault(api_id, {})
    before = served.get("deploymentId")
    if deployments.get(before, {}).get("autoDeployed"):
        del deployments[before]
        _snapshots.get(api_id, {}).pop(before, None)
    apigateway._create_deployment(api_id, {"description": "Automatic deployment"})
    served["deploymentId"] = next(reversed(deployments))
    deployments[served["deploymentId"]]["autoDeployed"] = True


@instead_of(apigateway, "_delete_api")
def delete_api(delete, api_id):
    """AWS deletes deployments, and so the snapshots, with their API.
    Source: none found. For upstream.
    """
    _snapshots.pop(api_id, None)
    return delete(api_id)


@instead_of(apigateway, "reset")
def reset(reset_all):
    """AWS has no reset. MiniStack's forgets the snapshots, as it forgets all else.
    Source: none found. For upstream.
    """
    _snapshots.clear()
    reset_all()


@instead_of(apigateway, "get_state")
def get_state(get):
    """AWS keeps deployments until they are deleted, so the snapshots are part of MiniStack's state.
    Source: none found. For upstream.
    """
    return get() | {"snapshots": copy.deepcopy(_snapshots)}


@instead_of(apigateway, "load_persisted_state")
def load_persisted_state(load, data):
    """AWS keeps deployments until they are deleted, so the snapshots come back with MiniStack's state.
    A state from before this patch has none.
    Source: none found. For upstream.
    """
    load(data)
    _snapshots.update((data or {}).get("snapshots", {}))
