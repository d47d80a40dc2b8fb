"""A backend that knows nothing of WebSockets: it tells whoever follows an order what has become of it."""

import json
import os

import botocore.session

queue = botocore.session.get_session().create_client("sqs")


def handler(event, context):
    order, state = event["order"], event["state"]
    publication = {
        "channel": f"orders.{order}",
        "message": {"order": order, "state": state},
        "id": f"{order}-{state}",  # The same when this runs twice: clients drop what they have seen.
    }
    queue.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(publication))
