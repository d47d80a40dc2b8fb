"""$connect: puts the connection into the table."""

import os

import boto3

TABLE = os.environ["CONNECTION_TABLE"]
LIFETIME_SECONDS = 2 * 60 * 60 + 10 * 60

dynamodb = boto3.client("dynamodb")


def handler(event, _context):
    context = event["requestContext"]
    item = {
        "channel": {"S": "*#0"},
        "connectionId": {"S": context["connectionId"]},
        "connectedAt": {"N": str(context["connectedAt"])},
        "expiresAt": {"N": str(context["connectedAt"] // 1000 + LIFETIME_SECONDS)},
        "sourceIp": {"S": context["identity"]["sourceIp"]},
        "userAgent": {"S": context["identity"]["userAgent"]},
    }
    dynamodb.put_item(TableName=TABLE, Item=item)
    return {"statusCode": 200}
