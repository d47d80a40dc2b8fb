"""Passes changes of the table on: a message for each, to the channel of its warehouse."""

import json
import os

import botocore.session

queue = botocore.session.get_session().create_client("sqs")


def handler(event, context):
    entries = [
        {"Id": str(number), "MessageBody": json.dumps(publication(record))}
        for number, record in enumerate(event["Records"])
    ]
    failed = queue.send_message_batch(QueueUrl=os.environ["QUEUE_URL"], Entries=entries).get("Failed")
    if failed:
        raise RuntimeError(f"the queue did not take {failed}")  # The batch comes again, under the same ids.


def publication(record):
    change = record["dynamodb"]
    item, row = change["Keys"]["item"]["S"], change.get("NewImage", {"quantity": {"N": "0"}})  # None where it is deleted.
    return {
        "channel": f"stock.{change['Keys']['warehouse']['S']}",
        "message": {"item": item, "quantity": int(row["quantity"]["N"]), "version": change["SequenceNumber"]},
        "id": record["eventID"],
    }
