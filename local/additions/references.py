"""What is still in use is not deleted, and a stage that logs needs the account's role, as AWS has it."""

from ministack.services import apigateway, apigateway_v1

from additions import instead_of, models


def refuse(message, code="ConflictException", status=409):
    return apigateway._apigw_error(code, message, status)


@instead_of(apigateway, "_delete_integration")
def delete_integration(delete, api_id, integration_id):
    """AWS refuses to delete the integration of a route.
    Source: https://github.com/milliHQ/terraform-aws-next-js/issues/247
    For upstream.
    """
    users = [r["routeKey"] for r in routes(api_id) if r.get("target") == f"integrations/{integration_id}"]
    if users:
        return refuse(f"Cannot delete Integration '{integration_id}' because it is referenced by route {users[0]}.")
    return delete(api_id, integration_id)


@instead_of(apigateway, "_delete_authorizer")
def delete_authorizer(delete, api_id, authorizer_id):
    """AWS refuses to delete the authorizer of a route.
    Source: https://github.com/anomalyco/sst/issues/5586
    For upstream.
    """
    if any(r.get("authorizerId") == authorizer_id for r in routes(api_id)):
        return refuse("Cannot delete authorizer, is referenced by a route")
    return delete(api_id, authorizer_id)


@instead_of(models, "delete_model")
def delete_model(delete, api_id, model_id):
    """AWS refuses to delete the model of a route. (The source is about REST APIs.)
    Source: https://github.com/amazon-archives/aws-apigateway-importer/issues/89
    For upstream.
    """
    name = models._models[api_id][model_id]["name"]
    if any(name in (r.get("requestModels") or {}).values() for r in routes(api_id)):
        return refuse(f"Cannot delete model '{name}', is referenced by a route")
    return delete(api_id, model_id)


@instead_of(apigateway, "_delete_deployment")
def delete_deployment(delete, api_id, deployment_id):
    """AWS refuses to delete the deployment of a stage. (The source is about REST APIs.)
    Source: https://docs.aws.amazon.com/goto/WebAPI/apigateway-2015-07-09/DeleteDeployment
    For upstream.
    """
    if any(stage.get("deploymentId") == deployment_id for stage in apigateway._stages.get(api_id, {}).values()):
        return refuse("Active stages pointing to this deployment must be moved or deleted", "BadRequestException", 400)
    return delete(api_id, deployment_id)


@instead_of(apigateway, "_delete_stage")
def delete_stage(delete, api_id, name):
    """AWS refuses to delete a stage that a domain's mapping leads to.
    Source: none found. For upstream.
    """
    mappings = [m for of_domain in apigateway_v1._base_path_mappings.values() for m in of_domain.values()]
    if any(m["restApiId"] == api_id and m["stage"] == name for m in mappings):
        return refuse("Please remove all base path mappings related to the stage", "BadRequestException", 400)
    return delete(api_id, name)


def routes(api_id):
    return apigateway._routes.get(api_id, {}).values()


@instead_of(apigateway, "_create_stage")
def create_stage(create, api_id, data):
    """AWS refuses a WebSocket API's stage that logs, where the account has no role for it.
    Source: https://github.com/anomalyco/sst/issues/1556
    For upstream.
    """
    return without_a_role(data) or create(api_id, data)


@instead_of(apigateway, "_update_stage")
def update_stage(update, api_id, name, data):
    """AWS refuses to let a WebSocket API's stage log, where the account has no role for it.
    Source: https://github.com/anomalyco/sst/issues/1556
    For upstream.
    """
    return without_a_role(data) or update(api_id, name, data)


def without_a_role(stage):
    """The refusal of a stage that logs, where the account has no role for it; else None."""
    settings = [stage.get("defaultRouteSettings") or {}, *(stage.get("routeSettings") or {}).values()]
    logs = stage.get("accessLogSettings") or any(s.get("loggingLevel") in ("ERROR", "INFO") for s in settings)
    if logs and not (apigateway_v1._account_settings.get("settings") or {}).get("cloudwatchRoleArn"):
        message = "CloudWatch Logs role ARN must be set in account settings to enable logging"
        return refuse(message, "BadRequestException", 400)
    return None
