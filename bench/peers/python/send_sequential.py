"""send, as most tutorials have it: a post, and when it is answered the next."""

import json

from connections import ack, frame, members, post


def handler(event, _context):
    body = json.loads(event["body"])
    channel = body.get("channel", "*")
    data = frame(event, channel, body["message"])
    return ack(event, (post(channel, connection_id, data) for connection_id in members(channel)))
