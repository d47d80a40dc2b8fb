"""Tells a client who it is: what the authorizer said of a connection comes with each of its messages."""

import json


def handler(event, context):
    authorizer = event["requestContext"]["authorizer"]
    you = {"type": "you", "name": authorizer["principalId"], "expires": int(authorizer["expires"])}
    return {"statusCode": 200, "body": json.dumps(you)}
