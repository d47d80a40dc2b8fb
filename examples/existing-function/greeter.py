"""A function that was there before the API: it greets whoever a client names, or the client itself."""

import json

import botocore.session

# Where to post is in AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI, which the SDK reads by itself.
connections = botocore.session.get_session().create_client("apigatewaymanagementapi")


def handler(event, context):
    sender = event["requestContext"]["connectionId"]
    to = json.loads(event["body"]).get("to", sender)
    greeting = json.dumps({"type": "greeting", "from": sender})
    try:
        connections.post_to_connection(ConnectionId=to, Data=greeting.encode())
    except connections.exceptions.GoneException:
        return answer({"type": "gone", "to": to})
    return answer({"type": "greeted", "to": to})


def answer(frame):
    return {"statusCode": 200, "body": json.dumps(frame)}
