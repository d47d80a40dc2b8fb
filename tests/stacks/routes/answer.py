"""Says which function runs, and on which route."""

import json
import os


def handler(event, context):
    answer = {"type": "answer", "function": os.environ["NAME"], "route": event["requestContext"]["routeKey"]}
    return {"statusCode": 200, "body": json.dumps(answer)}


def guard(event, context):
    """Lets everybody in who says anything."""
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    return {"principalId": "anybody", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
