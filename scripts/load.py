"""Puts the running `make dev` under load: clients in one channel, and so many messages a second to it, each heard by all.

Usage: load.py URL CLIENTS RATE DURATION, the rate in messages a second of all clients, the duration in seconds.
It ends by itself. It goes to this machine alone: an account pays for each message.
"""

import asyncio
import collections
import ipaddress
import itertools
import json
import sys
import time
import urllib.parse
import uuid

from smoke import fail, is_error, percentile
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

# Connections that are made at once.
AT_ONCE = 16
# Seconds for an answer, and for what is still under way at the end.
PATIENCE = 30


class Progress:
    """A line that is written over on a terminal, and now and then elsewhere."""

    def __init__(self):
        self.last = 0.0

    def show(self, text, now=False):
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text}", end="\n" if now else "", flush=True)
        elif now or time.monotonic() - self.last >= 5:
            self.last = time.monotonic()
            print(text, flush=True)


async def subscribed(socket):
    """Waits until the client is in the channel. What else it hears, such as who joins, is passed over."""
    while (frame := json.loads(await socket.recv())).get("type") != "subscribed":
        if is_error(frame):
            fail(f"a client may not join the channel: {json.dumps(frame)}")


class Load:
    def __init__(self, url, clients, rate, duration):
        self.url, self.clients, self.rate, self.duration = url, clients, rate, duration
        self.channel = f"load:{uuid.uuid4()}"
        self.sent = {}
        # The ids of the messages that are on their way, and who heard each.
        self.acked = set()
        self.heard = collections.defaultdict(set)
        self.refused = collections.Counter()
        self.deliveries = self.doubled = 0
        self.round_trips, self.times = [], []
        self.subscribed = 0
        self.closed = 0
        self.progress = Progress()

    async def run(self):
        limit = asyncio.Semaphore(AT_ONCE)
        sockets = await asyncio.gather(*(self.join(limit) for _ in range(self.clients)))
        self.progress.show(f"{self.clients} clients connected and in the channel", now=True)
        listening = [asyncio.create_task(self.listen(number, socket)) for number, socket in enumerate(sockets)]
        start = time.perf_counter()
        await self.talk(sockets)
        talked = time.perf_counter() - start
        await self.settle()
        took = time.perf_counter() - start
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)
        self.report(talked, took)

    async def join(self, limit):
        async with limit:
            socket = await connect(self.url, open_timeout=PATIENCE, close_timeout=5, max_queue=None, ping_interval=None)
            await socket.send(json.dumps({"action": "subscribe", "channel": self.channel}))
            await asyncio.wait_for(subscribed(socket), PATIENCE)
            self.subscribed += 1
            self.progress.show(f"{self.subscribed} of {self.clients} clients connected")
            return socket

    async def listen(self, number, socket):
        try:
            async for text in socket:
                self.hear(number, json.loads(text))
        except WebSocketException:
            pass
        self.closed += 1

    def hear(self, client, frame):
        now = time.perf_counter()
        kind = frame.get("type")
        if kind == "ack":
            self.acked.add(frame["id"])
        elif kind == "message" and frame.get("channel") == self.channel:
            if client in self.heard[frame["id"]]:
                self.doubled += 1
                return
            self.heard[frame["id"]].add(client)
            self.deliveries += 1
            sender, at = self.sent[frame["message"]]
            (self.round_trips if sender == client else self.times).append((now - at) * 1000)
        elif is_error(frame):
            self.refused[frame.get("code") or frame.get("message") or "error"] += 1

    async def talk(self, sockets):
        """Each client in turn, by the clock: a backend that is slow does not slow down who speaks."""
        start = time.perf_counter()
        for number in itertools.count():
            at = number / self.rate
            if at >= self.duration:
                return
            await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
            sender = number % len(sockets)
            self.sent[number] = (sender, time.perf_counter())
            message = {"action": "send", "channel": self.channel, "message": number}
            try:
                await sockets[sender].send(json.dumps(message))
            except WebSocketException:
                self.refused["connection closed"] += 1
            self.tell(time.perf_counter() - start)

    def lost(self):
        return sum(self.clients - len(self.heard[message]) for message in self.acked)

    async def settle(self):
        """Until everything was answered and heard, or nothing more came for a while."""
        start, before, last = time.monotonic(), None, time.monotonic()
        while self.lost() or len(self.acked) + self.refused.total() < len(self.sent):
            await asyncio.sleep(0.1)
            now = (self.deliveries, len(self.acked))
            if now != before:
                before, last = now, time.monotonic()
            if time.monotonic() - last > 5 or time.monotonic() - start > PATIENCE:
                return
            self.tell(self.duration)

    def tell(self, elapsed):
        expected = len(self.sent) * self.clients
        progress = f"{len(self.sent)} sent, {self.deliveries} of {expected} deliveries"
        self.progress.show(f"{elapsed:.0f} of {self.duration} s: {progress}")

    def report(self, talked, took):
        sent, lost = len(self.sent), self.lost()
        self.progress.show(f"done in {took:.1f} s", now=True)

        def times(of):
            of = sorted(of)
            return "  ".join(f"{name} {percentile(of, at):.1f}" for name, at in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))) if of else "none"

        rows = [
            ("clients", str(self.clients), f"{self.closed} lost their connection" if self.closed else ""),
            ("messages sent", str(sent), f"{sent / talked:.1f} a second"),
            ("acknowledged", str(len(self.acked)), ", ".join(f"{count} × {why}" for why, count in self.refused.most_common())),
            ("deliveries", str(self.deliveries), f"{self.deliveries / took:.0f} a second"),
            ("lost", str(lost), "of those that were acknowledged"),
            ("doubled", str(self.doubled), "delivery is at least once"),
            ("back at the sender, ms", "", times(self.round_trips)),
            ("at the others, ms", "", times(self.times)),
        ]
        print()
        for name, figure, note in rows:
            print(f"  {name:<24}{figure:>9}  {note}".rstrip())
        if lost or not self.acked:
            sys.exit(1)


def is_here(url):
    """Whether the URL is one of this machine."""
    host = urllib.parse.urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def positive(text, name, kind):
    try:
        number = kind(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        fail(f"{name} is a number greater than 0, not {text!r}")
    return number


def main():
    url = sys.argv[1]
    if not is_here(url):
        fail(f"{url} is not on this machine: load goes to `make dev` alone")
    load = Load(url, positive(sys.argv[2], "CLIENTS", int), positive(sys.argv[3], "RATE", float), positive(sys.argv[4], "DURATION", int))
    try:
        asyncio.run(load.run())
    except KeyboardInterrupt:
        fail("stopped")
    except (OSError, TimeoutError, asyncio.TimeoutError, WebSocketException) as error:
        fail(f"cannot connect to {url}: {error or 'it does not answer'}")


if __name__ == "__main__":
    main()
