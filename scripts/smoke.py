"""Connects to a chat backend, sends to a channel of its own, hears it back, and prints the round trip's percentiles.

Usage: smoke.py URL [SECONDS], such as wss://abc123.execute-api.eu-central-1.amazonaws.com/dev. For so many seconds it tries again
where it cannot connect: a stage that was just made is not known everywhere.
Nobody else hears of it: the channel has a name that is made up each time.
"""

import json
import sys
import time
import uuid

from websockets.exceptions import InvalidURI, WebSocketException
from websockets.sync.client import connect

# Seconds for an answer; the first one waits for functions to start.
PATIENCE = 15
# Those that are timed, after the first.
MESSAGES = 100


def fail(sentence):
    sys.exit(f"error: {sentence}")


def milliseconds(since):
    return (time.perf_counter() - since) * 1000


def hear(socket, kind):
    """The next frame of this type. What else there is, such as an ack, is passed over."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            frame = json.loads(socket.recv(timeout=max(0, end - time.monotonic())))
        except TimeoutError:
            fail(f'no "{kind}" came within {PATIENCE} s')
        except WebSocketException as error:
            fail(f'the connection closed before a "{kind}" came: {error}')
        if frame.get("type") == kind:
            return frame
        if is_error(frame):
            fail(f'the backend answered, where a "{kind}" was to come: {json.dumps(frame)}')


def is_error(frame):
    """API Gateway's own errors have no type, but these ids. A push of a backend's own may have no type either."""
    if "type" in frame:
        return frame["type"] == "error"
    return {"message", "connectionId", "requestId"} <= frame.keys()


def say(socket, **message):
    socket.send(json.dumps(message))


def percentile(sorted_times, percent):
    return sorted_times[min(len(sorted_times) - 1, len(sorted_times) * percent // 100)]


def smoke(url, patience):
    channel = f"smoke:{uuid.uuid4()}"
    end = time.monotonic() + patience
    while True:
        start = time.perf_counter()
        try:
            socket = connect(url, open_timeout=PATIENCE, close_timeout=1)
            break
        except InvalidURI:
            fail(f"{url} is no URL of a WebSocket: it begins with wss://")
        except (OSError, TimeoutError, WebSocketException) as error:
            if time.monotonic() >= end:
                fail(f"cannot connect to {url}: {error}")
        time.sleep(3)
    with socket:
        print(f"connected in {milliseconds(start):.0f} ms")
        say(socket, action="ping")
        hear(socket, "pong")
        say(socket, action="subscribe", channel=channel)
        hear(socket, "subscribed")
        times = []
        for number in range(MESSAGES + 1):
            start = time.perf_counter()
            say(socket, action="send", channel=channel, message=number)
            heard = hear(socket, "message")
            if heard.get("channel") != channel or heard.get("message") != number:
                fail(f"{number} was sent to {channel}, and this was heard: {json.dumps(heard)}")
            times.append(milliseconds(start))
    print(f"first message back in {times[0]:.0f} ms")
    times = sorted(times[1:])
    print(f"{MESSAGES} messages back: p50 {percentile(times, 50):.1f} ms, p95 {percentile(times, 95):.1f} ms, p99 {percentile(times, 99):.1f} ms")


if __name__ == "__main__":
    smoke(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0)
