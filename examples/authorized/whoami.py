"""Tells a client who it is: what the authorizer said of a connection comes with each of its messages."""

import json


def handler(event, context):
    authorizer = event["requestContext"]["authorizer"]
    # Without the claim there is no "channels"; one that is empty holds a blank.
    channels = authorizer["channels"].split() if "channels" in authorizer else None
    you = {"type": "you", "name": authorizer["principalId"], "channels": channels}
    return {"statusCode": 200, "body": json.dumps(you)}
