"""send: posts a message to every connection of a channel, many at once."""

import json
from concurrent.futures import ThreadPoolExecutor

from connections import CONCURRENCY, ack, frame, members, post

threads = ThreadPoolExecutor(CONCURRENCY)


def handler(event, _context):
    body = json.loads(event["body"])
    channel = body.get("channel", "*")
    data = frame(event, channel, body["message"])
    return ack(event, threads.map(lambda connection_id: post(channel, connection_id, data), members(channel)))
