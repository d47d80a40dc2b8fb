// Channels as objects, presence, signals and the other parts of the client, against the server for tests.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Presence, WebSocketClient } from "../src/index.js";
import { FakeServer } from "../src/testing.js";
import { now, pass, stopTheClock } from "./clock.js";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let server;
let clients;

/** A client of the server, on a connection of its own. */
async function connect({ name = "ada", ...options } = {}) {
  const client = new WebSocketClient({ url: "wss://server.test", protocols: [name] }, { WebSocket: server.WebSocket, ...options });
  clients.push(client);
  await now();
  return client;
}

const listen = (emitter, type) => {
  const heard = [];
  emitter.on(type, (detail) => heard.push(detail));
  return heard;
};
const connection = () => [...server.connections].at(-1);
/** An answer that never comes. */
const silent = () => undefined;

beforeEach(() => {
  stopTheClock();
  clients = [];
  server = new FakeServer({ announces: () => true, principal: ({ protocols }) => protocols[0] });
});

afterEach(() => {
  for (const client of clients) client.close();
  mock.reset();
});

// --- listeners -------------------------------------------------------------------------------------

test("a listener that was removed hears nothing more", async () => {
  const client = await connect();
  const heard = [];
  const listener = ({ message }) => heard.push(message);
  const off = client.on("message", listener);
  server.publish("*", 1);
  await now();
  off();
  server.publish("*", 2);
  await now();
  client.on("message", listener);
  client.off("message", listener);
  server.publish("*", 3);
  await now();
  assert.deepEqual(heard, [1]);
});

test("a listener that throws stops no other one, and is reported", async () => {
  const client = await connect();
  const reported = [];
  const report = (error) => reported.push(error.message);
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", report);
  client.on("message", () => {
    throw new Error("a fault of the page");
  });
  const heard = listen(client, "message");
  server.publish("*", 1);
  await now();
  process.removeAllListeners("uncaughtException");
  for (const other of others) process.on("uncaughtException", other);
  assert.deepEqual([heard.length, reported], [1, ["a fault of the page"]]);
});

// --- channels --------------------------------------------------------------------------------------

test("a channel as an object hears what is its own", async () => {
  const client = await connect();
  const [lobby, kitchen] = [client.channel("lobby"), client.channel("kitchen")];
  assert.equal(client.channel("lobby"), lobby);
  const heard = [listen(lobby, "message"), listen(kitchen, "message"), listen(client, "message")];
  const [joined, left] = [listen(lobby, "joined"), listen(lobby, "left")];
  assert.deepEqual(await lobby.subscribe(), { replayed: undefined, complete: undefined });
  await kitchen.subscribe();
  const { delivered } = await lobby.send("hello");
  server.publish("kitchen", "tea");
  await now();
  assert.equal(delivered, 1);
  assert.deepEqual(heard.map((messages) => messages.map(({ message }) => message)), [["hello"], ["tea"], ["hello", "tea"]]);
  const other = await connect({ name: "grace" });
  await other.channel("lobby").subscribe();
  await other.channel("lobby").unsubscribe();
  await now();
  assert.deepEqual([joined, left].map((announcements) => announcements.map(({ principal }) => principal)), [["grace"], ["grace"]]);
  assert.deepEqual((await lobby.list()).members.map(({ principal }) => principal), ["ada"]);
});

test("a channel tells its own gap", async () => {
  const client = await connect();
  const [lobby, kitchen] = [client.channel("lobby"), client.channel("kitchen")];
  const gaps = [listen(lobby, "gap"), listen(kitchen, "gap"), listen(client, "gap")];
  await lobby.subscribe();
  await kitchen.subscribe();
  server.cut();
  server.publish("lobby", "unheard");
  server.expire("lobby", server.messages.get("lobby").length);
  await pass(SECOND);
  assert.deepEqual(gaps.map((told) => told.map(({ channel }) => channel)), [["lobby"], [], ["lobby"]]);
});

test("messages come in a loop, from the history on, and none is lost while it is busy", async () => {
  const client = await connect();
  server.publish("lobby", 1);
  const heard = [];
  const loop = (async () => {
    for await (const { message } of client.channel("lobby").messages({ since: 0 })) {
      heard.push(message);
      if (message === 4) break;
      await new Promise((resolve) => setTimeout(resolve, SECOND));
    }
  })();
  await now();
  for (const message of [2, 3, 4, 5]) server.publish("lobby", message);
  await pass(5 * SECOND);
  await loop;
  assert.deepEqual(heard, [1, 2, 3, 4]);
  assert.deepEqual([...connection().channels], ["lobby"], "it is still in the channel");
});

test("a loop ends when the client is closed, or with its signal", async () => {
  const client = await connect();
  const stop = new AbortController();
  const ended = [];
  const loop = async (name, messages) => {
    for await (const _ of messages) ended.push(`${name} heard something`);
    ended.push(name);
  };
  const loops = [loop("signal", client.channel("a").messages({ signal: stop.signal })), loop("closed", client.channel("b"))];
  await now();
  stop.abort();
  await loops[0];
  assert.deepEqual(ended, ["signal"]);
  client.close();
  await loops[1];
  assert.deepEqual(ended, ["signal", "closed"]);
});

test("a loop over a channel that cannot be entered throws", async () => {
  const client = await connect();
  server.routes.subscribe = () => ({ type: "error", code: "forbidden", message: "No." });
  await assert.rejects(client.channel("secret")[Symbol.asyncIterator]().next(), { code: "forbidden" });
});

test("who it is, is known with the first subscription, and on each connection", async () => {
  const client = await connect();
  const identities = listen(client, "identity");
  assert.equal(client.identity, undefined);
  await client.subscribe("lobby");
  await client.subscribe("kitchen");
  assert.deepEqual(client.identity, { connectionId: connection().id, principal: "ada" });
  server.cut();
  await pass(SECOND);
  assert.deepEqual(client.identity, { connectionId: connection().id, principal: "ada" });
  assert.deepEqual(identities.length, 2);
});

// --- signals ---------------------------------------------------------------------------------------

test("a request that was called off while it waited is not sent", async () => {
  server.accepts = false;
  const client = await connect();
  const stop = new AbortController();
  const sent = [client.send("a", 1, { signal: stop.signal }), client.list("a", { signal: stop.signal }), client.send("a", 2)];
  const outcomes = Promise.allSettled(sent);
  stop.abort(new Error("no longer needed"));
  server.accepts = true;
  await pass(5 * SECOND);
  const [first, second, third] = await outcomes;
  assert.deepEqual([first.reason.message, second.reason.message, third.status], ["no longer needed", "no longer needed", "fulfilled"]);
  assert.deepEqual(server.messages.get("a").map(({ message }) => message), [2]);
});

test("a request that was called off under way is given up at once, and not sent again", async () => {
  const client = await connect();
  const { send } = server.routes;
  const asked = [];
  server.routes.send = (frame) => void asked.push(frame.message);
  const stop = new AbortController();
  const first = client.send("a", 1, { signal: stop.signal });
  await now();
  stop.abort();
  await assert.rejects(first, { name: "AbortError" });
  server.cut();
  server.routes.send = send;
  await pass(5 * SECOND);
  assert.deepEqual([asked, server.messages.get("a")], [[1], undefined]);
});

test("with a signal that is over nothing is asked", async () => {
  const client = await connect();
  const signal = AbortSignal.abort();
  const requests = [client.send("a", 1, { signal }), client.subscribe("a", { signal }), client.unsubscribe("a", { signal }), client.request({ action: "own" }, () => true, { signal })];
  for (const request of requests) await assert.rejects(request, { name: "AbortError" });
  assert.deepEqual([server.messages.size, [...connection().channels]], [0, []]);
});

// --- limits and time -------------------------------------------------------------------------------

test("a request that finds no place is told, and not dropped in silence", async () => {
  server.accepts = false;
  const client = await connect({ queueLimit: 2 });
  const full = listen(client, "full");
  const kept = [client.send("a", 1), client.send("a", 2)];
  await assert.rejects(client.send("a", 3), { code: "queue_full", message: "2 requests are waiting already." });
  assert.deepEqual(full.map(({ message }) => message), [3]);
  server.accepts = true;
  await pass(5 * SECOND);
  assert.equal((await Promise.all(kept)).length, 2);
});

test("what does no harm twice is asked until there is an answer", async () => {
  const client = await connect();
  const { subscribe } = server.routes;
  server.routes.subscribe = silent;
  const entered = client.subscribe("lobby");
  for (let count = 0; count < 5; count++) {
    await pass(31 * SECOND);
    server.cut();
  }
  server.routes.subscribe = subscribe;
  await pass(31 * SECOND);
  await entered;
  assert.deepEqual([...connection().channels], ["lobby"]);
});

test("how long an answer may take, and how long it waits to come back, can be chosen", async () => {
  const client = await connect({ answerWithinMs: 3 * SECOND, retryMs: { least: 100, most: 200 } });
  mock.method(Math, "random", () => 1);
  mock.method(globalThis, "fetch", () => Promise.reject(new TypeError("Failed to fetch")));
  const states = listen(client, "state");
  server.routes.send = silent;
  client.send("a", 1).catch(() => {});
  await pass(3 * SECOND - 50);
  assert.deepEqual(states, []);
  await pass(100);
  assert.deepEqual(states[0], { name: "waiting", retryAt: Date.now() + 50 });
  server.accepts = false;
  await pass(10 * SECOND);
  assert.ok(states.filter(({ name }) => name === "waiting").length > 40, "200 ms at most");
});

test("without a WebSocket, it says so at once", () => {
  assert.throws(() => new WebSocketClient("wss://server.test", { WebSocket: null }), /There is no WebSocket here/);
});

// --- closing ---------------------------------------------------------------------------------------

test("it may drain before it closes", async () => {
  server = new FakeServer({ latencyMs: SECOND });
  const client = await connect();
  await pass(SECOND);
  const sent = [client.send("a", 1), client.send("a", 2)];
  const closed = client.close({ drainMs: 10 * SECOND });
  await assert.rejects(client.send("a", 3), { code: "closed" });
  assert.equal(client.state.name, "open");
  await pass(3 * SECOND);
  assert.equal(client.state.name, "open", "the second message is under way");
  await pass(2 * SECOND);
  await Promise.all([...sent, closed]);
  assert.equal(client.state.name, "closed");
});

test("it does not drain for longer than it may", async () => {
  const client = await connect();
  server.routes.send = silent;
  const sent = client.send("a", 1);
  const closed = client.close({ drainMs: 2 * SECOND });
  const refused = assert.rejects(sent, { code: "closed" });
  await pass(2 * SECOND);
  await Promise.all([closed, refused]);
  assert.equal(client.state.name, "closed");
});

test("with nothing to do, draining takes no time", async () => {
  const client = await connect();
  await client.close({ drainMs: MINUTE });
  assert.equal(client.state.name, "closed");
});

// --- presence --------------------------------------------------------------------------------------

const ids = ({ people }) => people.map(({ id }) => id);

test("who is there is listed with all pages, and kept up to date", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  await pass(SECOND);
  const grace = await connect({ name: "grace" });
  await grace.subscribe("lobby");
  const { list } = server.routes;
  server.routes.list = (frame) => list({ ...frame, limit: 1 });
  const presence = new Presence(client, "lobby");
  const changes = listen(presence, "change");
  await now();
  await now();
  assert.deepEqual([ids(presence), changes.length], [["ada", "grace"], 1]);
  const linus = await connect({ name: "linus" });
  await linus.subscribe("lobby");
  await grace.unsubscribe("lobby");
  await now();
  assert.deepEqual(ids(presence), ["ada", "linus"]);
  assert.equal(changes.at(-1), presence.people);
  presence.close();
  await linus.unsubscribe("lobby");
  await pass(10 * MINUTE);
  assert.deepEqual(ids(presence), ["ada", "linus"], "nobody listens any more");
});

test("a user with two devices is one person", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  await pass(SECOND);
  await (await connect()).subscribe("lobby");
  const presence = new Presence(client, "lobby");
  await now();
  assert.deepEqual(presence.people.map(({ id, connectedAt }) => [id, Date.now() - connectedAt]), [["ada", SECOND]]);
  presence.close();
});

test("who comes and goes while the list is under way is not mistaken", async () => {
  const client = await connect();
  const others = [await connect({ name: "grace" }), await connect({ name: "linus" })];
  await client.subscribe("lobby");
  await others[0].subscribe("lobby");
  const { list } = server.routes;
  server.routes.list = (frame, from) => {
    const page = list(frame, from);
    setTimeout(() => server.post(from, { ...page, ref }), SECOND);
  };
  let ref;
  const receive = server.receive.bind(server);
  server.receive = (from, text) => {
    const frame = JSON.parse(text);
    if (frame.action === "list") ref = frame.ref;
    receive(from, text);
  };
  const presence = new Presence(client, "lobby");
  await pass(500);
  await others[0].unsubscribe("lobby");
  await others[1].subscribe("lobby");
  await pass(SECOND);
  assert.deepEqual(ids(presence), ["ada", "linus"]);
  presence.close();
});

test("the list is fetched anew after a reconnect, and now and then", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  const presence = new Presence(client, "lobby");
  await now();
  const grace = await connect({ name: "grace" });
  server.post = () => {};
  await Promise.race([grace.subscribe("lobby"), now()]);
  delete server.post;
  assert.deepEqual(ids(presence), ["ada"], "the announcement was lost");
  await pass(5 * MINUTE);
  assert.deepEqual(ids(presence), ["ada", "grace"]);
  server.cut();
  await pass(5 * SECOND);
  assert.deepEqual(ids(presence).sort(), ["ada", "grace"]);
  presence.close();
});

test("by numbers, the list is exact whatever comes late or early", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  const announce = (type, principal, seq, at = Date.now()) => server.post(connection(), { type, channel: "lobby", connectionId: principal, principal, at, seq });
  const member = (principal) => ({ connectionId: principal, principal, connectedAt: Date.now() });
  server.routes.list = () => ({ type: "members", channel: "lobby", members: [member("grace"), member("linus")], seq: 3 });
  const presence = new Presence(client, "lobby");
  announce("joined", "barbara", 2); // It has left again before the list was made.
  announce("left", "linus", 3); // And has come back, under a number that is not known here.
  announce("left", "grace", 4, Date.now() - MINUTE);
  announce("joined", "edsger", 5);
  await now();
  await now();
  assert.deepEqual(ids(presence), ["linus", "edsger"]);
  presence.close();
});

test("a list that cannot be had is told, and the last one kept", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  const presence = new Presence(client, "lobby");
  const failed = listen(presence, "error");
  await now();
  server.routes.list = () => ({ type: "error", code: "forbidden", message: "No." });
  await presence.refresh();
  assert.deepEqual([failed.map(({ code }) => code), ids(presence)], [["forbidden"], ["ada"]]);
  presence.close();
});

// --- the server for tests --------------------------------------------------------------------------

test("a route of one's own is answered by the server for tests", async () => {
  const client = await connect();
  server.routes.vote = ({ choice }) => ({ type: "voted", choice });
  assert.equal((await client.request({ action: "vote", choice: "tea" }, ({ type }) => type === "voted")).choice, "tea");
  await assert.rejects(client.request({ action: "nothing" }, ({ type }) => type === "something"), { code: "unknown_action" });
});

test("the server for tests may keep no history", async () => {
  server = new FakeServer({ history: false });
  const client = await connect();
  const heard = listen(client, "message");
  const gaps = listen(client, "gap");
  await client.subscribe("lobby");
  await client.send("lobby", 1);
  server.cut();
  server.publish("lobby", 2);
  await pass(SECOND);
  server.publish("lobby", 3);
  await now();
  assert.deepEqual([heard.map(({ message, seq }) => [message, seq]), gaps.length], [[[1, undefined], [3, undefined]], 1]);
});
