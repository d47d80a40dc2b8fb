"""Resources are remembered as they were asked for, as AWS does: else Terraform would see a drift."""

import json

from ministack.services import apigateway, dynamodb, ec2, lambda_svc

from additions import instead_of


def remember(resource, find, fields):
    """Keeps these fields of what is asked for when the resource is created or updated. Each has its default."""
    for action in "create", "update":

        @instead_of(apigateway, f"_{action}_{resource}")
        def act_and_remember(act, *arguments, action=action):
            """AWS tells these fields as they were asked for. MiniStack drops some, and gives others a value of its own.
            Source: https://docs.aws.amazon.com/goto/WebAPI/apigatewayv2-2018-11-29/CreateIntegration
            For upstream.
            """
            status, headers, body = act(*arguments)
            if status not in (200, 201):
                return status, headers, body
            record, asked = find(json.loads(body), *arguments), arguments[-1]
            record |= {k: asked.get(k, default) for k, default in fields.items() if k in asked or action == "create"}
            return apigateway._apigw_response(record, status)


remember("api", lambda api, *_: apigateway._apis[api["apiId"]], {"ipAddressType": "ipv4"})
remember(
    "integration",
    lambda integration, api_id, *_: apigateway._integrations[api_id][integration["integrationId"]],
    dict.fromkeys(["credentialsArn", "integrationMethod", "passthroughBehavior", "templateSelectionExpression"]),
)
remember(
    "authorizer",
    lambda authorizer, api_id, *_: apigateway._authorizers[api_id][authorizer["authorizerId"]],
    {"authorizerPayloadFormatVersion": None, "jwtConfiguration": None},
)


def change_by_entry(resource, store, field):
    """Changes a map entry by entry. An empty value asks for the entry to go."""

    @instead_of(apigateway, f"_update_{resource}")
    def update_entries(update, api_id, name, data):
        """AWS merges such a map. MiniStack puts the new map in the place of the old one.
        Source: https://github.com/go-to-k/cdk-real-drift/pull/1031
        (for parameters: https://github.com/hashicorp/terraform-provider-aws/pull/50083). For upstream.
        """
        if field in data:
            before = store.get(api_id, {}).get(name, {}).get(field) or {}
            data = data | {field: {k: v for k, v in (before | (data[field] or {})).items() if v != ""}}
        return update(api_id, name, data)


change_by_entry("integration", apigateway._integrations, "requestParameters")
change_by_entry("stage", apigateway._stages, "stageVariables")


@instead_of(apigateway, "_tag_resource")
def tag_resource(tag, arn, tags):
    """AWS tells tags that were given to an ARN with the API, or the stage, too.
    Source: https://docs.aws.amazon.com/goto/WebAPI/apigatewayv2-2018-11-29/GetApi
    For upstream.
    """
    return with_tags(arn, tag(arn, tags))


@instead_of(apigateway, "_untag_resource")
def untag_resource(untag, arn, keys):
    """AWS no longer tells tags that were taken from an ARN with the API, or the stage.
    Source: https://docs.aws.amazon.com/goto/WebAPI/apigatewayv2-2018-11-29/GetApi
    For upstream.
    """
    return with_tags(arn, untag(arn, keys))


def with_tags(arn, answer):
    """APIs and stages tell their tags themselves, too."""
    if answer[0] not in (201, 204):
        return answer
    _, _, api_id, *rest = arn.split("/")
    is_stage = rest[:1] == ["stages"]
    record = apigateway._stages.get(api_id, {}).get(rest[1]) if is_stage else apigateway._apis.get(api_id)
    if record is not None:
        record["tags"] = dict(apigateway._api_tags.get(arn, {}))
    return answer


@instead_of(dynamodb, "_update_continuous_backups")
def update_continuous_backups(update, data):
    """AWS keeps for how many days a table can be recovered: 35, where nobody says.
    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PointInTimeRecoverySpecification.html
    For upstream.
    """
    answer = update(data)
    name = dynamodb._normalize_table_name(data["TableName"])
    if dynamodb._pitr_settings.get(name):
        # In the place of True: for how many days.
        asked = data["PointInTimeRecoverySpecification"]
        dynamodb._pitr_settings[name] = asked.get("RecoveryPeriodInDays", 35)
    return answer


@instead_of(dynamodb, "_describe_continuous_backups")
def describe_continuous_backups(describe, data):
    """AWS tells for how many days a table can be recovered.
    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PointInTimeRecoveryDescription.html
    For upstream.
    """
    status, headers, body = describe(data)
    answer = json.loads(body)
    days = dynamodb._pitr_settings.get(dynamodb._normalize_table_name(data["TableName"]))
    if status == 200 and days:
        answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] = days
    return status, headers, json.dumps(answer).encode()


@instead_of(lambda_svc, "_put_event_invoke_config")
def put_event_invoke_config(put, function, qualifier, data):
    """AWS removes a setting that is left out. MiniStack sets an age of its own.
    Source: https://docs.aws.amazon.com/goto/WebAPI/lambda-2015-03-31/PutFunctionEventInvokeConfig
    For upstream.
    """
    status, headers, body = put(function, qualifier, data)
    if status != 200:
        return status, headers, body
    config = lambda_svc._event_invoke_config(lambda_svc._functions[function], qualifier)
    if "MaximumEventAgeInSeconds" not in data:
        del config["MaximumEventAgeInSeconds"]
    return lambda_svc.json_response(config)


@instead_of(ec2, "_parse_ip_permissions")
def parse_ip_permissions(parse, *arguments):
    """AWS keeps no ports for every protocol: else the rule that a group is born with is not found, and stays.
    Source: https://github.com/getmoto/moto/issues/2551
    For upstream.
    """
    rules = parse(*arguments)
    for rule in rules:
        if rule["IpProtocol"] == "-1":
            rule.pop("FromPort", None)
            rule.pop("ToPort", None)
    return rules
