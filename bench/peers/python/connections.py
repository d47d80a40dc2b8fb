"""The connections of a channel, and the way to them."""

import json
import os
import time

import boto3
from botocore.config import Config

# How many posts are under way at once. More cost Python more than they gain: one thread runs at a time.
CONCURRENCY = 32

TABLE = os.environ["CONNECTION_TABLE"]

dynamodb = boto3.client("dynamodb", config=Config(max_pool_connections=CONCURRENCY))
api = boto3.client("apigatewaymanagementapi", config=Config(max_pool_connections=CONCURRENCY))


def members(channel):
    """The ids of the connections in the channel, page after page, without those whose row has expired."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=TABLE,
        ConsistentRead=True,
        KeyConditionExpression="channel = :channel",
        FilterExpression="expiresAt > :now",
        ProjectionExpression="connectionId",
        ExpressionAttributeValues={":channel": {"S": f"{channel}#0"}, ":now": {"N": str(int(time.time()))}},
    )
    for page in pages:
        for item in page["Items"]:
            yield item["connectionId"]["S"]


def post(channel, connection_id, data):
    """Posts to one connection, and says what became of it. One that is gone is taken out of the channel."""
    try:
        api.post_to_connection(ConnectionId=connection_id, Data=data)
        return "delivered"
    except api.exceptions.GoneException:
        key = {"channel": {"S": f"{channel}#0"}, "connectionId": {"S": connection_id}}
        dynamodb.delete_item(TableName=TABLE, Key=key)
        return "gone"
    except Exception as error:
        print("post failed", connection_id, error)
        return "failed"


def frame(event, channel, message):
    """What the recipients hear: serialised once."""
    context = event["requestContext"]
    return json.dumps(
        {
            "type": "message",
            "id": context["messageId"],
            "channel": channel,
            "from": context["connectionId"],
            "message": message,
            "sentAt": context["requestTimeEpoch"],
        }
    ).encode()


def ack(event, outcomes):
    """What the sender hears."""
    context = event["requestContext"]
    counts = {outcome: 0 for outcome in ("delivered", "gone", "failed")}
    for outcome in outcomes:
        counts[outcome] += 1
    body = {"type": "ack", "id": context["messageId"], "requestId": context["requestId"], **counts}
    return {"statusCode": 200, "body": json.dumps(body)}
