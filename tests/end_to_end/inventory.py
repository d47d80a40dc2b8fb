"""Prints what there is in the account of the environment, as JSON: a list of service and name."""

import json

import botocore.session

session = botocore.session.get_session()


def names(service, operation, items, name):
    answer = getattr(session.create_client(service), operation)()
    return [f"{service} {item if name is None else item[name]}" for item in answer.get(items, [])]


def records():
    """The records of all zones, but those that every zone has."""
    client = session.create_client("route53")
    zones = [zone["Id"] for zone in client.list_hosted_zones()["HostedZones"]]
    records = [r for zone in zones for r in client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]]
    return [f"route53 {r['Name']} {r['Type']}" for r in records if r["Type"] not in ("NS", "SOA")]


print(json.dumps(
    names("acm", "list_certificates", "CertificateSummaryList", "DomainName")
    + names("apigatewayv2", "get_apis", "Items", "Name")
    + names("apigatewayv2", "get_domain_names", "Items", "DomainName")
    + names("dynamodb", "list_tables", "TableNames", None)
    + names("events", "list_rules", "Rules", "Name")
    + names("iam", "list_roles", "Roles", "RoleName")
    + names("lambda", "list_event_source_mappings", "EventSourceMappings", "EventSourceArn")
    + names("lambda", "list_functions", "Functions", "FunctionName")
    + names("logs", "describe_log_groups", "logGroups", "logGroupName")
    + names("sqs", "list_queues", "QueueUrls", None)
    + records()
))
