// Web clients whose connections are cut at random while they send: in the end, all have the same messages in the same
// order. It prints what happened, and fails where they have not.
//
//     node cut.js ws://… [clients] [messages]

import assert from "node:assert/strict";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { RequestError, WebSocketClient } from "../../../clients/js/src/index.js";

const [url, clients = 20, messages = 300] = process.argv.slice(2);
const CHANNELS = ["cut.1", "cut.2", "cut.3"];
/** How long a connection lives at most, before it is cut. */
const LIVES_MS = 8_000;
const SETTLES_WITHIN_MS = 120_000;

/** Passes bytes on, until it is told to cut a connection without a word. */
const { hostname, port, pathname } = new URL(url);
let cuts = 0;
let isCutting = true;
const proxy = net.createServer((near) => {
  const far = net.connect(Number(port), hostname);
  near.pipe(far).pipe(near);
  const end = () => [near, far].forEach((socket) => socket.destroy());
  for (const socket of [near, far]) socket.on("error", end).on("close", end);
  setTimeout(() => {
    if (!isCutting || near.destroyed) return;
    cuts++;
    end();
  }, LIVES_MS * (0.2 + 0.8 * Math.random())).unref();
});
await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));

const gaps = [];
const people = Array.from({ length: Number(clients) }, (_, number) => {
  const client = new WebSocketClient(`ws://127.0.0.1:${proxy.address().port}${pathname}`);
  const heard = Object.fromEntries(CHANNELS.map((channel) => [channel, []]));
  client.on("message", ({ channel, seq, message }) => heard[channel]?.push({ seq, message }));
  client.on("gap", (gap) => gaps.push({ number, ...gap }));
  return { number, client, heard };
});
await Promise.all(people.flatMap(({ client }) => CHANNELS.map((channel) => client.subscribe(channel))));

let repeats = 0;
const sent = Object.fromEntries(CHANNELS.map((channel) => [channel, []]));
const start = Date.now();
await Promise.all(people.map(async ({ number, client }) => {
  for (let count = 0; count < messages / clients; count++) {
    const [channel, text, id] = [CHANNELS[(number + count) % CHANNELS.length], `${number} ${count}`, `${number}-${count}-${process.pid}`];
    for (;;) {
      try {
        await client.send(channel, text, { id, echo: count % 2 === 0 });
        break;
      } catch (error) {
        // It may have been sent. Without a principal, another connection is another sender: it may come twice then.
        if (!(error instanceof RequestError && ["unanswered", "gateway"].includes(error.code))) throw error;
        repeats++;
      }
    }
    sent[channel].push({ text, by: number, echo: count % 2 === 0 });
    await sleep(200 * Math.random());
  }
}));
const seconds = (Date.now() - start) / 1_000;
isCutting = false;

/** What everybody but the sender must have: who is left out has none, or, after a reconnect, may have it. */
const missing = () => people.flatMap(({ number, heard }) => CHANNELS.flatMap((channel) => {
  const texts = new Set(heard[channel].map(({ message }) => message));
  return sent[channel].filter(({ text, by, echo }) => (by !== number || echo) && !texts.has(text)).map(({ text }) => `${number} lacks ${text} in ${channel}`);
}));
for (const limit = Date.now() + SETTLES_WITHIN_MS; missing().length > 0 && Date.now() < limit; ) await sleep(200);
await sleep(2_000);

assert.deepEqual(missing().slice(0, 5), []);
assert.deepEqual(gaps, []);
for (const channel of CHANNELS) {
  const truth = new Map();
  for (const { number, heard } of people) {
    let last = 0;
    for (const { seq, message } of heard[channel]) {
      assert.ok(seq > last, `${number} heard ${seq} after ${last} in ${channel}`);
      assert.equal(truth.get(seq) ?? message, message, `${seq} of ${channel} is one message`);
      truth.set(seq, message);
      last = seq;
    }
  }
  // Each message of the channel reached each client, but for those that the client sent without an echo.
  for (const { number, heard } of people) {
    const own = new Set(sent[channel].filter(({ by, echo }) => by === number && !echo).map(({ text }) => text));
    const numbers = new Set(heard[channel].map(({ seq }) => seq));
    const lacks = [...truth].filter(([seq, text]) => !numbers.has(seq) && !own.has(text));
    assert.deepEqual(lacks, [], `${number} lacks messages of ${channel}`);
  }
}
const count = CHANNELS.reduce((sum, channel) => sum + sent[channel].length, 0);
console.log(`${count} messages of ${clients} clients in ${seconds.toFixed(0)} s, ${cuts} connections cut, ${repeats} sent again`);
for (const { client } of people) client.close();
proxy.close();
process.exit();
