"""Models: JSON schemas of an API's messages. A route with a model expression takes no message that does not match.

https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-request-validation.html
"""

import copy
import functools
import json
import re

import fastjsonschema
from ministack.core.responses import AccountRegionScopedDict, new_uuid
from ministack.services import apigateway

from additions import instead_of
from additions.templates import evaluate

FIELDS = ("name", "contentType", "schema", "description")
PATH = re.compile(r"/v2/apis/([^/]+)/models(?:/([^/]+))?")

# By the API's id: models by their ids, like MiniStack's own stores.
_models = AccountRegionScopedDict()


@instead_of(apigateway, "handle_request")
async def handle_request(handle, method, path, headers, body, query):
    """AWS has calls that create, tell, change and delete models. MiniStack has none of them.
    Source: https://docs.aws.amazon.com/goto/WebAPI/apigatewayv2-2018-11-29/CreateModel
    For upstream.
    """
    found = PATH.fullmatch(path.rstrip("/"))
    if not found:
        return await handle(method, path, headers, body, query)
    api_id, model_id = found.groups()
    return answer(method, api_id, model_id, json.loads(body or "{}"))


def answer(method, api_id, model_id, data):
    if api_id not in apigateway._apis:
        return apigateway._api_not_found(api_id)
    models = _models.setdefault(api_id, {})
    if model_id is None:
        if method == "GET":
            return apigateway._apigw_response({"items": list(models.values())})
        return keep(models, {"modelId": new_uuid()[:6]}, data, 201)
    if model_id not in models:
        return apigateway._apigw_error("NotFoundException", "Invalid Model identifier specified", 404)
    if method == "DELETE":
        return delete_model(api_id, model_id)
    return keep(models, models[model_id], data if method == "PATCH" else {}, 200)


def delete_model(api_id, model_id):
    del _models[api_id][model_id]
    return 204, {}, b""


def keep(models, model, data, status):
    changed = model | {name: data[name] for name in FIELDS if name in data}
    if any(m["name"] == changed.get("name") and m["modelId"] != changed["modelId"] for m in models.values()):
        return apigateway._apigw_error("ConflictException", "Model name already exists for this API", 409)
    try:
        validator(changed["schema"])
    except Exception as error:
        return apigateway._apigw_error("BadRequestException", f"Invalid model specified: {error}", 400)
    models[changed["modelId"]] = changed
    return apigateway._apigw_response(changed, status)


@functools.cache
def validator(schema):
    # The draft that API Gateway reads, whatever the schema calls itself.
    draft = {"$schema": "http://json-schema.org/draft-04/schema#"}
    return fastjsonschema.compile(json.loads(schema) | draft, use_default=False)


def accepts(api_id, route, body):
    """Whether the route takes this message. Without a model to check it by it takes none, as AWS has it."""
    if not route.get("modelSelectionExpression"):
        return True
    names = route.get("requestModels") or {}
    name = names.get(evaluate(route["modelSelectionExpression"], body), names.get("$default"))
    schema = next((m["schema"] for m in _models.get(api_id, {}).values() if m["name"] == name), None)
    if schema is None:
        return False
    try:
        validator(schema)(json.loads(body))
    except ValueError:  # not JSON, or not of the schema
        return False
    return True


@instead_of(apigateway, "_delete_api")
def delete_api(delete, api_id):
    """AWS deletes models with their API.
    Source: none found. For upstream.
    """
    _models.pop(api_id, None)
    return delete(api_id)


@instead_of(apigateway, "reset")
def reset(reset_all):
    """AWS has no reset. MiniStack's forgets the models, as it forgets all else.
    Source: none found. For upstream.
    """
    _models.clear()
    reset_all()


@instead_of(apigateway, "get_state")
def get_state(get):
    """AWS keeps models until they are deleted, so they are part of MiniStack's state.
    Source: none found. For upstream.
    """
    return get() | {"models": copy.deepcopy(_models)}


@instead_of(apigateway, "load_persisted_state")
def load_persisted_state(load, data):
    """AWS keeps models until they are deleted, so they come back with MiniStack's state.
    Source: none found. For upstream.
    """
    load(data)
    _models.update((data or {}).get("models", {}))
