"""A function that was there before the API: it greets whoever a client names, or the client itself."""

import json
import re

import botocore.session

# Where to post is in AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI, which the SDK reads by itself.
connections = botocore.session.get_session().create_client("apigatewaymanagementapi")


def handler(event, context):
    sender = event["requestContext"]["connectionId"]
    to = json.loads(event["body"]).get("to", sender)
    if not isinstance(to, str) or not re.fullmatch("[A-Za-z0-9+/=_-]{1,128}", to):
        return answer({"type": "error", "message": "to is the id of a connection"})
    greeting = json.dumps({"type": "greeting", "from": sender})
    try:
        connections.post_to_connection(ConnectionId=to, Data=greeting.encode())
    except connections.exceptions.ClientError as error:
        # An id that never was one is a bad request.
        if error.response["Error"]["Code"] not in ("GoneException", "BadRequestException"):
            raise
        return answer({"type": "gone", "to": to})
    return answer({"type": "greeted", "to": to})


def answer(frame):
    return {"statusCode": 200, "body": json.dumps(frame)}
