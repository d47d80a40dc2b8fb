"""Prints what there is in the account of the environment, as JSON: a list of service and name."""

import json

import botocore.session

session = botocore.session.get_session()


def names(service, operation, items, name):
    answer = getattr(session.create_client(service), operation)()
    return [f"{service} {item if name is None else item[name]}" for item in answer[items]]


print(json.dumps(
    names("apigatewayv2", "get_apis", "Items", "Name")
    + names("dynamodb", "list_tables", "TableNames", None)
    + names("iam", "list_roles", "Roles", "RoleName")
    + names("lambda", "list_functions", "Functions", "FunctionName")
    + names("logs", "describe_log_groups", "logGroups", "logGroupName")
))
