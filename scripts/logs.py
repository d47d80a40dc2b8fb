"""Prints what a stack's functions log, as it comes: the last minutes first, then what is new, until Ctrl-C.

Usage: logs.py NAMES [MINUTES [once]], such as logs.py chat-dev 10. The log groups are those that begin with /aws/lambda/NAMES-.
"""

import sys
import time

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

# Between two questions, in seconds: an account may ask five times a second, and there are some functions.
PAUSE = 5
# What arrives is in order only within a stream, and late at times: the last seconds are asked for again.
OVERLAP = 60


def new_lines(logs, group, seen, since):
    """What this group has since then, in milliseconds, and was not seen."""
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since):
        for event in page["events"]:
            # An emulator may have no ids.
            event_id = event.get("eventId") or (event["timestamp"], group, event["message"])
            if event_id not in seen:
                seen[event_id] = event["timestamp"]
                yield event["timestamp"], group, event["message"].rstrip()


def main(names, minutes, once):
    logs = botocore.session.get_session().create_client("logs")
    prefix = f"/aws/lambda/{names}-"
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    if not groups:
        sys.exit(f"error: there is no log group {prefix}* in {logs.meta.region_name}: is the stage deployed, and this its Region?")
    seen, since = {}, int((time.time() - minutes * 60) * 1000)
    while True:
        asked = int(time.time() * 1000)
        lines = [line for group in groups for line in new_lines(logs, group, seen, since)]
        for at, group, line in sorted(lines, key=lambda line: line[0]):
            clock = time.strftime("%H:%M:%S", time.localtime(at / 1000))
            print(f"{clock} {group.removeprefix(prefix)}: {line}", flush=True)
        if once:
            return
        since = max(since, asked - OVERLAP * 1000)
        seen = {event_id: at for event_id, at in seen.items() if at >= since}
        time.sleep(PAUSE)


if __name__ == "__main__":
    try:
        main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 10, "once" in sys.argv[3:])
    except KeyboardInterrupt:
        print()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"error: {error}")
