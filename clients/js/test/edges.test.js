// What happens at once, in the wrong order, or is no sense at all: nothing stalls, and nothing is lost.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { WebSocketClient } from "../src/index.js";
import { FakeServer } from "../src/testing.js";
import { now, pass, stopTheClock } from "./clock.js";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let server;
let client;
let heard;
let gaps;
/** The requests that the server got, in order. */
let asked;
const connection = () => [...server.connections].at(-1);
const push = (...frames) => frames.forEach((frame) => server.post(connection(), frame));
const message = (seq, channel = "lobby", id = `m${seq}`) => ({ type: "message", id, channel, message: id, sentAt: Date.now(), seq });
const subscribed = (channel, more) => ({ type: "subscribed", channel, ...more });
const error = (code) => ({ type: "error", code, message: `It is ${code}.` });
const fault = { message: "Internal server error", connectionId: "c1", requestId: "r1" };
const asks = (action) => asked.filter((frame) => frame.action === action);

/** Answers an action in another way, until it is given back. */
function answers(action, route) {
  const before = server.routes[action];
  server.routes[action] = (frame, from) => route(frame, from, before);
  return () => (server.routes[action] = before);
}

/** A route whose answers wait until they are released by a frame. */
function held(action, when = () => true) {
  const requests = [];
  const receive = server.receive.bind(server);
  server.receive = (from, text) => {
    const frame = JSON.parse(text);
    if (frame.action !== action || !when(frame)) return receive(from, text);
    asked.push(frame);
    requests.push((answer) => server.post(from, { ...answer, ref: frame.ref }));
  };
  return requests;
}

beforeEach(async () => {
  stopTheClock();
  mock.method(Math, "random", () => 1);
  server = new FakeServer();
  [heard, gaps, asked] = [[], [], []];
  for (const action of Object.keys(server.routes)) {
    answers(action, (frame, from, before) => {
      asked.push(frame);
      return before(frame, from);
    });
  }
  client = new WebSocketClient("wss://server.test", { WebSocket: server.WebSocket });
  client.on("message", ({ id }) => heard.push(id));
  client.on("gap", ({ channel }) => gaps.push(channel));
  await now();
});

afterEach(() => {
  client.close();
  mock.reset();
});

test("a request does not wait for another one after a replay that was refused for now", async () => {
  await client.subscribe("lobby");
  let refusals = 0;
  answers("subscribe", (frame, from, before) => (frame.after !== undefined && refusals++ === 0 ? error("too_many_requests") : before(frame, from)));
  server.messages.set("lobby", [message(1), message(2)]);
  push(message(2));
  await pass(2 * SECOND);
  const sent = client.send("other", 1);
  await pass(2 * SECOND);
  await sent;
  assert.deepEqual(heard, ["m1", "m2"]);
});

test("a list that is answered before the subscription of its channel changes nothing for it", async () => {
  const [subscription] = [held("subscribe")];
  const entered = client.subscribe("lobby");
  await client.list("lobby");
  subscription[0](subscribed("lobby", { seq: 0 }));
  await entered;
  push(message(1));
  await now();
  assert.deepEqual(heard, ["m1"]);
});

test("who closes the client in a listener of its states has closed it", async () => {
  const states = [];
  client.on("state", ({ name }) => {
    states.push(name);
    if (name === "waiting") client.close();
  });
  server.cut();
  await pass(MINUTE);
  assert.deepEqual([states, server.connections.size], [["waiting", "closed"], 0]);
});

test("a client that is closed as soon as it is open never asks for its target again", async () => {
  let targets = 0;
  const other = new WebSocketClient(() => (targets++, "wss://server.test"), { WebSocket: server.WebSocket });
  other.on("state", ({ name }) => name === "open" && other.close());
  await pass(120 * MINUTE);
  assert.deepEqual([targets, other.state.name], [1, "closed"]);
});

test("a channel that was left is not entered again by what was still asked for", async () => {
  await client.subscribe("lobby");
  const replays = held("subscribe", ({ after }) => after !== undefined);
  push(message(5));
  await pass(2 * SECOND);
  await client.unsubscribe("lobby");
  push(message(1));
  replays[0](subscribed("lobby", { seq: 1, replayed: 1, complete: false, more: true }));
  await pass(5 * SECOND);
  assert.deepEqual([asked.at(-1).action, [...connection().channels]], ["unsubscribe", []]);
});

test("what waited in a channel that was left is not given twice when it is entered anew", async () => {
  await client.subscribe("lobby");
  const replays = held("subscribe", ({ after }) => after !== undefined);
  push(message(2));
  await pass(2 * SECOND);
  await client.unsubscribe("lobby");
  server.messages.set("lobby", [message(1), message(2)]);
  const entered = client.subscribe("lobby", { since: 0 });
  await now();
  replays[0](subscribed("lobby", { seq: 2, replayed: 2, complete: true }));
  await entered;
  assert.deepEqual(heard, ["m1", "m2"]);
});

test("what comes for everyone while one subscribes to it is heard", async () => {
  const [subscription] = [held("subscribe")];
  push(message(5, "*"));
  const entered = client.subscribe("*");
  await now();
  push(message(6, "*"));
  subscription[0](subscribed("*", { seq: 6 }));
  await entered;
  push(message(7, "*"));
  await now();
  assert.deepEqual([heard, gaps], [["m5", "m6", "m7"], []]);
});

test("what waited under a former number is not taken for a new message", async () => {
  server.messages.set("lobby", [1, 2, 3, 4, 5].map((seq) => message(seq)));
  await client.subscribe("lobby");
  push(message(9, "lobby", "former"));
  server.messages.set("lobby", []);
  await pass(3 * SECOND);
  assert.deepEqual(gaps, ["lobby"]);
  const before = asks("subscribe").length;
  await pass(MINUTE);
  assert.equal(asks("subscribe").length, before, "it asks no more");
  for (let count = 1; count <= 10; count++) server.publish("lobby", count);
  await pass(3 * SECOND);
  assert.deepEqual([heard.length, heard.includes("former")], [10, false]);
});

test("a number that no server gives is none", async () => {
  await client.subscribe("lobby");
  const before = asks("subscribe").length;
  for (const seq of [1e300, -1, 0, 1.5, null, "7", undefined]) push({ ...message(1, "lobby", `odd ${seq}`), seq }, { type: "skipped", channel: "lobby", seq });
  await pass(MINUTE);
  push(message(1));
  await now();
  assert.deepEqual([asks("subscribe").length, heard.at(-1)], [before, "m1"]);
});

test("a number before an answer without one keeps nothing back", async () => {
  const [subscription] = [held("subscribe")];
  const entered = client.subscribe("lobby");
  await now();
  push(message(3));
  subscription[0](subscribed("lobby"));
  await entered;
  assert.deepEqual(heard, ["m3"]);
});

test("of several requests under way, none is taken for the one that was too large", async () => {
  const send = answers("send", () => undefined);
  const sent = ["a", "b", "c"].map((channel) => client.send(channel, 1));
  await now();
  send();
  server.end(connection(), 1009);
  await pass(5 * SECOND);
  assert.equal((await Promise.all(sent)).length, 3);
});

test("one fault under steady load is for the request that it is for", async () => {
  const states = [];
  client.on("state", ({ name }) => states.push(name));
  answers("list", (frame, from) => void setTimeout(() => server.post(from, fault), 50));
  const failed = client.list("lobby").then(() => "answered", ({ code }) => code);
  let isOver = false;
  const later = { list: [], of: held("send") };
  const load = async (channel) => {
    while (!isOver) await client.send(channel, 1).catch(() => {});
  };
  load("a");
  load("b");
  for (let step = 0; step < 100; step++) {
    await pass(50);
    // Two at a time, one of them always under way.
    later.of.shift()?.({ type: "ack", id: "x" });
  }
  isOver = true;
  assert.deepEqual([await failed, states], ["gateway", []]);
});

test("an answer that cannot be read rejects its own request alone", async () => {
  answers("send", () => undefined);
  server.routes.vote = () => undefined;
  const own = client.request({ action: "vote" }, (frame) => frame.votes.tea > 0);
  await now();
  push({ ...message(1, "*"), seq: undefined });
  await assert.rejects(own, TypeError);
  assert.deepEqual(heard, ["m1"]);
});

test("holes in many channels are filled one after another, as the server takes one replay at a time", async () => {
  const names = Array.from({ length: 30 }, (_, number) => `channel ${number}`);
  for (const name of names) await client.subscribe(name);
  let isBusy = false;
  const receive = server.receive.bind(server);
  server.receive = (from, text) => {
    const { action, channel, after, ref } = JSON.parse(text);
    if (action !== "subscribe" || after === undefined) return receive(from, text);
    asked.push({ action, channel, after });
    if (isBusy) return server.post(from, { ...error("too_many_requests"), ref });
    isBusy = true;
    setTimeout(() => {
      isBusy = false;
      receive(from, text);
    }, 2 * SECOND);
  };
  const before = asked.length;
  for (const name of names) {
    const missed = [message(1, name, `${name} 1`), message(2, name, `${name} 2`)];
    server.messages.set(name, missed);
    push(missed[1]);
  }
  await pass(2 * MINUTE);
  // The server hears of each replay twice here: when it is asked, and when it has the time.
  assert.deepEqual([gaps, heard.length, (asked.length - before) / 2], [[], 60, 30]);
});

test("a replay that fails when nothing is missing any more mutes no channel", async () => {
  await client.subscribe("lobby");
  const replays = held("subscribe", ({ after }) => after !== undefined);
  push(message(2));
  await pass(2 * SECOND);
  push(message(1));
  replays[0](error("forbidden"));
  await now();
  push(message(3));
  await now();
  assert.deepEqual(heard, ["m1", "m2", "m3"]);
});

test("what came before a subscription was confirmed is asked for by nobody", async () => {
  const subscription = held("subscribe");
  const entered = client.subscribe("lobby");
  await now();
  push(message(1), message(3));
  subscription[0](subscribed("lobby", { seq: 3 }));
  await entered;
  await pass(MINUTE);
  assert.deepEqual([asked.length, heard], [1, []]);
});
