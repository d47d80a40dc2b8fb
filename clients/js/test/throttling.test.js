// Many clients come back at once to a server that takes a bounded number of requests a second, as API Gateway does.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { WebSocketClient } from "../src/index.js";

const CLIENTS = 200;
const CHANNELS = 50;
/** Requests a second, of all clients together, and how many may come at once. */
const RATE = 100;
const BURST = 50;
const LATENCY_MS = 40;
const STEP_MS = 20;

/** A token bucket: what it refuses costs it nothing. */
class Server {
  served = 0;
  refused = 0;
  #tokens = BURST;
  #filledAt = Date.now();

  answer({ channel, after, ref }) {
    const time = Date.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((time - this.#filledAt) / 1_000) * RATE);
    this.#filledAt = time;
    if (this.#tokens < 1) {
      this.refused++;
      return { message: "Too Many Requests", connectionId: "c", requestId: "r" };
    }
    this.#tokens--;
    this.served++;
    return { type: "subscribed", channel, requestId: "r", ref, seq: 7, ...(after !== undefined && { replayed: 0, complete: true }) };
  }
}

/** The browser's side of a connection to the server. */
class Socket {
  /** @type {Set<Socket>} Those that are open. */
  static open = new Set();
  /** @type {{ answer: (frame: any) => any }} */
  static server;

  constructor() {
    setTimeout(() => {
      Socket.open.add(this);
      this.onopen?.();
    }, LATENCY_MS);
  }

  send(text) {
    setTimeout(() => {
      if (!Socket.open.has(this)) return; // API Gateway throws away what comes over a connection that is closed.
      const answer = Socket.server.answer(JSON.parse(text));
      setTimeout(() => this.onmessage?.({ data: JSON.stringify(answer) }), LATENCY_MS / 2);
    }, LATENCY_MS / 2);
  }

  close() {
    Socket.open.delete(this);
  }

  drop() {
    this.close();
    this.onclose?.({ code: 1006 });
  }
}

/** Random numbers that are the same in each run. */
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lets time pass until something is so, and gives how much it took, in seconds. */
async function until(isSo, limit) {
  const start = Date.now();
  while (!isSo()) {
    assert.ok(Date.now() - start < limit * 1_000, `not within ${limit} s`);
    mock.timers.tick(STEP_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (Date.now() - start) / 1_000;
}

test("200 clients with 50 channels come back to a server that takes 100 requests a second", async (context) => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_700_000_000_000 });
  mock.method(Math, "random", seeded(1));
  globalThis.WebSocket = Socket;
  context.after(() => mock.reset());

  Socket.server = { answer: ({ channel, ref }) => ({ type: "subscribed", channel, requestId: "r", ref, seq: 7 }) };
  const clients = Array.from({ length: CLIENTS }, () => new WebSocketClient("wss://example.test/dev"));
  const gaps = [];
  for (const client of clients) client.on("gap", ({ channel }) => gaps.push(channel));
  let entered = 0;
  for (const client of clients) {
    for (let channel = 0; channel < CHANNELS; channel++) client.subscribe(`channel-${channel}`).then(() => entered++);
  }
  await until(() => entered === CLIENTS * CHANNELS, 60);

  Socket.server = new Server();
  for (const socket of [...Socket.open]) socket.drop();
  const isBack = () => clients.every(({ state }) => state.name === "open");
  const least = (CLIENTS * CHANNELS - BURST) / RATE;
  const seconds = await until(isBack, 3 * least);
  const { served, refused } = Socket.server;
  context.diagnostic(`all are back after ${seconds.toFixed(0)} s, at best ${least.toFixed(0)} s; ${served} requests served, ${refused} refused`);
  assert.equal(served - CLIENTS * CHANNELS, 0, "requests that were served in vain");
  assert.equal(Socket.open.size, CLIENTS);
  assert.deepEqual(gaps, []);
  for (const client of clients) client.close();
});
