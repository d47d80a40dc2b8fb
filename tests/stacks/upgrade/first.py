"""Says which code runs."""

import json


def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"type": "version", "version": "first"})}


def guard(event, context):
    """Lets everybody in who says anything."""
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    return {"principalId": "anybody", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
