"""Selection expressions and mapping templates."""

import json
import re

from ministack.services import apigateway, apigateway_v1

from additions import instead_of


def evaluate(expression, body):
    """The key that a selection expression gives, such as $request.body.action, ${request.body.a}-b or \\$default."""

    def part_of_body(found):
        return apigateway._evaluate_route_selection(f"$request.body.{found[1] or found[2]}", body)

    value = re.sub(r"(?<!\\)\$(?:\{request\.body\.([^}]+)\}|request\.body\.([\w.-]+))", part_of_body, expression)
    return value.replace("\\$", "$")


def choose(templates, expression, body):
    """The template that the expression selects, or the default one, or none."""
    return templates.get(evaluate(expression or "", body), templates.get("$default"))


def render(template, body, context, stage_variables):
    """The template's text, by MiniStack's reader of templates for REST APIs."""
    state = {"vars": {"stageVariables": stage_variables}, "context": context, "body": body, "params": {}}
    return apigateway_v1._vtl_render(template, state | {"gobbled": False})


@instead_of(apigateway_v1, "_vtl_util")
def call_utility(call, steps, state):
    """Adds AWS's $util.escapeJavaScript, with which text is put into a JSON string.
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    For upstream.
    """
    name, arguments = steps[0] if steps else (None, None)
    if name != "escapeJavaScript" or not arguments:
        return call(steps, state)
    text = apigateway_v1._vtl_str(apigateway_v1._vtl_value(arguments, state))
    return json.dumps(text)[1:-1].replace("'", "\\'").replace("/", "\\/")
