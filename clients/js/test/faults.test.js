// Clients of a server at which all sorts of things go wrong: in the end, each has every message once and in order.
// SEED=… repeats one case, CASES=… runs more of them.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { WebSocketClient } from "../src/index.js";
import { FakeServer } from "../src/testing.js";
import { pass, stopTheClock } from "./clock.js";

const CHANNELS = ["a", "b", "*"];
const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: Number(process.env.CASES ?? 60) }, (_, seed) => seed + 1);

/** Numbers that look random, and are the same for a seed (mulberry32). */
function randomOf(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A server that loses, delays and doubles messages, and gives numbers to messages that never come. */
class Faulty extends FakeServer {
  isFaulty = true;
  #random;

  constructor(random, options) {
    super(options);
    this.#random = random;
  }

  deliver(connection, message) {
    const chance = this.isFaulty ? this.#random() : 1;
    if (chance < 0.1) return;
    if (chance < 0.2) super.deliver(connection, message);
    if (chance < 0.4) setTimeout(() => super.deliver(connection, message), 1_500 * this.#random());
    else super.deliver(connection, message);
  }

  /** A sender died between the two writes. */
  leaveOut(channel) {
    this.messages.set(channel, [...(this.messages.get(channel) ?? []), undefined]);
  }
}

/** A client, and what it heard. */
function person(server, name) {
  const client = new WebSocketClient(`wss://${name}.test`, { WebSocket: server.WebSocket });
  const heard = { a: [], b: [], "*": [] };
  const gaps = [];
  for (const type of ["message", "joined", "left"]) client.on(type, (message) => heard[message.channel].push(message));
  client.on("gap", (gap) => gaps.push(gap));
  return { name, client, heard, gaps, first: {} };
}

/** Lets people talk for a while, with faults, and then comes to rest. */
async function history(seed, { expires = false } = {}) {
  stopTheClock();
  const random = randomOf(seed);
  mock.method(Math, "random", random);
  mock.method(globalThis, "fetch", () => Promise.reject(new TypeError("Failed to fetch")));
  const pick = (list) => list[Math.floor(random() * list.length)];
  const server = new Faulty(random, {
    latencyMs: pick([0, 40, 400]),
    replay: pick([2, 5, 500]),
    announces: pick([() => false, () => true]),
    principal: ({ url }) => new URL(url).hostname,
  });
  const people = ["ada", "grace", "linus"].map((name) => person(server, name));
  const sent = [];
  for (const each of people) {
    for (const channel of CHANNELS) {
      const entered = each.client.subscribe(channel, pick([{}, { since: 0 }]));
      // What was said before it was in is not its own.
      entered.then(() => (each.first[channel] = server.messages.get(channel)?.length ?? 0));
    }
  }
  for (let step = 0; step < 150; step++) {
    const [{ name, client }, channel] = [pick(people), pick(CHANNELS)];
    const chance = random();
    if (chance < 0.5) {
      const text = `${name} ${step}`;
      const echo = random() < 0.5;
      client.send(channel, text, { echo, ordered: random() < 0.7 }).then(() => sent.push({ channel, text }), () => {});
    } else if (chance < 0.6) {
      server.publish(channel, `backend ${step}`);
    } else if (chance < 0.65) {
      server.leaveOut(channel);
    } else if (chance < 0.75) {
      server.cut([...server.connections].filter(() => random() < 0.5));
    } else if (chance < 0.78) {
      server.accepts = !server.accepts;
    } else if (chance < 0.8) {
      client.wake();
    } else if (chance < 0.82 && expires) {
      server.expire(channel, (server.messages.get(channel) ?? []).length);
    }
    await pass(pick([50, 100, 500, 2_000]));
  }
  server.accepts = true;
  server.isFaulty = false;
  await pass(120_000);
  for (const channel of CHANNELS) server.publish(channel, "the last one");
  await pass(5_000);
  const messages = new Map(server.messages);
  for (const { client } of people) client.close();
  return { messages, people, sent };
}

function checkOrder({ messages, people }) {
  for (const { name, heard } of people) {
    for (const channel of CHANNELS) {
      const numbers = heard[channel].map(({ seq }) => seq);
      assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), `${name} heard ${channel} in order, each once`);
      for (const message of heard[channel]) assert.deepEqual(messages.get(channel)[message.seq - 1], message);
    }
  }
}

/** What each person lacks of a channel, but for what it said itself without an echo. */
function lacks({ messages: all }, { name, heard, first }, channel) {
  const numbers = new Set(heard[channel].map(({ seq }) => seq));
  const messages = all.get(channel).slice(first[channel]);
  return messages.filter((message) => message && !numbers.has(message.seq) && message.principal !== `${name}.test`).map(({ seq }) => seq);
}

/** Does something with every seed, and tells the seed of one that fails. */
async function forEachSeed(check) {
  for (const seed of seeds) {
    try {
      await check(seed);
    } catch (error) {
      error.message = `SEED=${seed}: ${error.message}`;
      throw error;
    } finally {
      mock.timers.reset();
      mock.restoreAll();
    }
  }
}

test("every message is heard once and in order, and is sent once", () => forEachSeed(async (seed) => {
  const result = await history(seed);
  checkOrder(result);
  for (const person of result.people) {
    assert.deepEqual(person.gaps, [], `${person.name} misses nothing`);
    for (const channel of CHANNELS) assert.deepEqual(lacks(result, person, channel), [], `${person.name} has all of ${channel}`);
  }
  for (const { channel, text } of result.sent) {
    const stored = result.messages.get(channel).filter((message) => message?.message === text);
    assert.equal(stored.length, 1, `${text} was sent once`);
  }
}));

test("what has expired is told, and the rest is heard once and in order", () => forEachSeed(async (seed) => {
  const result = await history(seed, { expires: true });
  checkOrder(result);
  for (const person of result.people) {
    for (const channel of CHANNELS) {
      const isTold = person.gaps.some((gap) => gap.channel === channel);
      if (!isTold) assert.deepEqual(lacks(result, person, channel), [], `${person.name} is told that something is missing in ${channel}`);
    }
  }
}));
