// The client against a server that does what each test says, on a clock that only the tests turn.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { ID_LENGTH, RequestError, WebSocketClient } from "../src/index.js";

const ADDRESS = "wss://example.test/dev";
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Plays the browser's WebSocket; the test plays the server. */
class Socket {
  /** @type {Socket[]} */
  static all = [];
  /** Answers what clients say, where the test does not do it by hand. */
  static server = () => {};
  /** Whether connections open by themselves. */
  static accepts = true;

  /** What clients said, but for the ids of messages and the references of requests. */
  said = [];
  ids = [];
  /** The requests that have no answer yet, with their references. */
  unanswered = [];
  isOpen = false;
  closedWith;

  constructor(url, protocols) {
    if (!url.startsWith("ws")) throw new SyntaxError(`The URL '${url}' is invalid.`);
    Object.assign(this, { url, protocols });
    Socket.all.push(this);
    if (Socket.accepts) queueMicrotask(() => this.open());
  }

  send(text) {
    assert.ok(this.isOpen, "said before it is open");
    const { id, ref, ...frame } = JSON.parse(text);
    if (frame.action === "send") this.ids.push(id);
    this.said.push(frame);
    if (ref !== undefined) this.unanswered.push({ ref, ...frame });
    Socket.server(this, frame);
  }

  close(code) {
    this.isOpen = false;
    this.closedWith = code ?? "no code";
  }

  open() {
    if (this.closedWith) return;
    this.isOpen = true;
    this.onopen?.();
  }

  /** The server says something. */
  push(...frames) {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(this.#answering(frame)) });
  }

  /** The frame as the answer to the oldest request that it can be an answer to. API Gateway's own errors have no reference. */
  #answering(frame) {
    if (frame.type === undefined && frame.requestId && frame.connectionId) this.unanswered.pop();
    const action = { ack: "send", subscribed: "subscribe", unsubscribed: "unsubscribe", members: "list" }[frame.type];
    const isFor = (asked) => frame.type === "error" || (asked.action === action && (action === "send" || asked.channel === frame.channel));
    const index = this.unanswered.findIndex(isFor);
    return index < 0 ? frame : { ...frame, ref: this.unanswered.splice(index, 1)[0].ref };
  }

  /** The connection ends, or does not open at all, as a browser sees it. */
  drop(code = 1006) {
    this.isOpen = false;
    this.onclose?.({ code });
  }
}

/** What the server's history holds, by channel; `undefined`: it keeps none. */
let history = {};

/** A message of the history: the next one of its channel. */
function recorded(id, channel = "lobby") {
  const messages = (history[channel] ??= []);
  const seq = messages.length + 1;
  messages.push({ ...message(id, 1_000 * seq, channel), seq });
  return messages.at(-1);
}

/** A backend that answers everything; an ack comes with the number of the message. */
function obliging(socket, { action, channel, after, since }) {
  const sent = () => Socket.all.flatMap((each) => each.said).filter((frame) => frame.action === "send").length;
  const subscribe = () => {
    const asks = after !== undefined || since !== undefined;
    if (!history) return [{ type: "subscribed", channel, requestId: "r", ...(asks && { replayed: 0, complete: false, missing: true }) }];
    const messages = history[channel] ?? [];
    const missed = after !== undefined ? messages.slice(after) : messages.filter(({ sentAt }) => sentAt >= since);
    const seq = messages.length;
    return [...missed, { type: "subscribed", channel, requestId: "r", seq, ...(asks && { replayed: missed.length, complete: true }) }];
  };
  const answers = {
    send: () => [{ type: "ack", id: `m${sent()}`, requestId: "r", delivered: 1, gone: 0, failed: 0 }],
    subscribe,
    unsubscribe: () => [{ type: "unsubscribed", channel, requestId: "r" }],
    list: () => [{ type: "members", channel, members: [], requestId: "r" }],
    ping: () => [{ type: "pong" }],
  };
  queueMicrotask(() => socket.push(...answers[action]()));
}

const message = (id, sentAt, channel = "*") => ({ type: "message", id, channel, from: "c1", message: id, sentAt });
const refused = (code) => ({ type: "error", code, message: `It is ${code}.`, requestId: "r1" });
const fault = { message: "Internal server error", connectionId: "c1", requestId: "r2" };
const throttled = { ...fault, message: "Too Many Requests" };

/** Lets everything happen that needs no time. */
const now = () => new Promise((resolve) => setImmediate(resolve));

/** Lets time pass, and what happens in it happen. */
async function pass(milliseconds) {
  await now();
  for (let left = milliseconds; left > 0; left -= SECOND) {
    mock.timers.tick(Math.min(SECOND, left));
    await now();
  }
}

/** @type {WebSocketClient[]} */
let clients = [];
/** What happened to the clients, but for their states. */
let events = [];
let states = [];

async function connect(target = ADDRESS) {
  const client = new WebSocketClient(target);
  clients.push(client);
  client.on("state", (state) => states.push(state.name));
  for (const type of ["message", "joined", "left", "gap", "error", "frame"]) {
    client.on(type, (detail) => events.push([type, detail]));
  }
  await now();
  return client;
}

const sockets = () => Socket.all;
const last = () => Socket.all.at(-1);
const heard = () => events.filter(([type]) => type === "message").map(([, { id }]) => id);
const gaps = () => events.filter(([type]) => type === "gap").map(([, { channel }]) => channel);
const errors = () => events.filter(([type]) => type === "error").map(([, { code }]) => code);
const said = (socket, action) => socket.said.filter((frame) => frame.action === action);

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_700_000_000_000 });
  mock.method(Math, "random", () => 1); // the longest delays
  Object.assign(Socket, { all: [], server: obliging, accepts: true });
  Object.assign(globalThis, { WebSocket: Socket, fetch: async () => assert.fail("nobody asked") });
  [clients, events, states, history] = [[], [], [], {}];
});

afterEach(() => {
  for (const client of clients) client.close();
  mock.reset();
  delete globalThis.document;
});

// --- requests ----------------------------------------------------------------------------------------

test("a message is sent, and its promise settled by the ack", async () => {
  const client = await connect();
  const ack = await client.send("lobby", { text: "hello" }, { echo: false });
  assert.deepEqual(last().said, [{ action: "send", channel: "lobby", message: { text: "hello" }, echo: false }]);
  assert.equal(ack.id, "m1");
  await client.send("*", "hello");
  assert.deepEqual(last().said[1], { action: "send", channel: "*", message: "hello" });
});

test("an error of the server's settles the promise, in its words", async () => {
  const client = await connect();
  Socket.server = (socket) => socket.push(refused("forbidden"));
  await assert.rejects(client.send("secret", 1), (error) => {
    assert.ok(error instanceof RequestError);
    assert.deepEqual([error.code, error.message], ["forbidden", "It is forbidden."]);
    return true;
  });
  Socket.server = (socket) => socket.push(fault);
  await assert.rejects(client.list("*"), { code: "gateway", message: "Internal server error (request r2)" });
  assert.deepEqual(errors(), []);
});

test("a push without a type is no error, though its message is a text", async () => {
  Socket.server = () => {};
  const client = await connect();
  const sent = client.send("*", "hello");
  const pushes = [{ message: "Your order is on its way." }, { message: "hi", connectionId: "c2" }, { message: "hi", requestId: "r9" }];
  last().push(...pushes, { type: "ack", id: "m1" });
  assert.equal((await sent).id, "m1");
  last().push(...pushes);
  assert.deepEqual(events, [...pushes, ...pushes].map((push) => ["frame", push]));
});

test("a request that is throttled is sent again, later and later, and those after it wait", async () => {
  let refusals = 3;
  Socket.server = (socket, frame) => (refusals-- > 0 ? socket.push(throttled) : obliging(socket, frame));
  const client = await connect();
  const answers = [client.send("*", 1), client.send("*", 2)];
  for (const [seconds, count] of [[0, 1], [0.5, 2], [1, 3], [1, 3], [1, 5]]) {
    await pass(seconds * SECOND);
    assert.equal(last().said.length, count);
  }
  await Promise.all(answers);
  assert.deepEqual(last().said.map((frame) => frame.message), [1, 1, 1, 1, 2]);
  assert.deepEqual([sockets().length, errors()], [1, []]);
});

test("a request that is throttled for a minute is given up, and the connection stays", async () => {
  const client = await connect();
  Socket.server = (socket) => socket.push(throttled);
  const sent = assert.rejects(client.send("*", 1), { code: "throttled", message: "Too Many Requests (request r2)" });
  await pass(1 * MINUTE);
  await sent;
  Socket.server = obliging;
  await client.send("*", 2);
  assert.equal(sockets().length, 1);
});

test("many requests are under way at once, and each answer finds its own", async () => {
  Socket.server = () => {};
  const client = await connect();
  const lists = Array.from({ length: 33 }, (_, number) => client.list(`channel-${number}`));
  assert.equal(last().said.length, 32, "a bound");
  for (const { ref, channel } of last().unanswered.splice(0).reverse()) {
    last().onmessage({ data: JSON.stringify({ type: "members", channel, members: [ref], ref }) });
  }
  await now();
  assert.equal(last().said.length, 33);
  last().push({ type: "members", channel: "channel-32", members: [] }, { type: "members", channel: "x", members: [], ref: "?" });
  const channels = (await Promise.all(lists)).map(({ channel }) => channel);
  assert.deepEqual(channels, lists.map((_, number) => `channel-${number}`));
  assert.deepEqual(events, [["frame", { type: "members", channel: "x", members: [], ref: "?" }]]);
});

test("messages to one channel wait for each other, unless they need not be in order, and for no other channel's", async () => {
  Socket.server = () => {};
  const client = await connect();
  const sent = [["a", 1], ["a", 2], ["b", 3]].map(([channel, number]) => client.send(channel, number));
  sent.push(client.send("a", 4, { ordered: false }), client.list("a"));
  const numbers = () => said(last(), "send").map(({ message }) => message);
  assert.deepEqual([numbers(), said(last(), "list").length], [[1, 3, 4], 1]);
  last().push({ type: "ack", id: "m1" });
  await now();
  assert.deepEqual(numbers(), [1, 3, 4, 2]);
  for (const id of ["m3", "m4", "m2"]) last().push({ type: "ack", id });
  last().push({ type: "members", channel: "a", members: [] });
  assert.deepEqual((await Promise.all(sent)).map(({ id }) => id), ["m1", "m2", "m3", "m4", undefined]);
});

test("an id of one's own is sent, and told by an error", async () => {
  const client = await connect();
  await client.send("a", 1, { id: "mine" });
  assert.deepEqual(last().ids, ["mine"]);
  Socket.server = (socket) => socket.push(refused("forbidden"));
  await assert.rejects(client.send("a", 1), ({ request }) => request.id === last().ids[1]);
});

test("an error that does not tell its request is for the one that is left when the others are answered", async () => {
  Socket.server = () => {};
  const client = await connect();
  const [first, second, third] = ["a", "b", "c"].map((channel) => client.list(channel));
  const refs = last().unanswered.splice(0).map(({ ref }) => ref);
  const answer = (number, channel) => ({ data: JSON.stringify({ type: "members", channel, members: [], ref: refs[number] }) });
  last().onmessage({ data: JSON.stringify(fault) });
  last().onmessage(answer(2, "c"));
  await third;
  assert.deepEqual([errors(), last().said.length], [[], 3]);
  last().onmessage(answer(0, "a"));
  await first;
  await assert.rejects(second, { code: "gateway" });
});

test("where all that is under way is throttled, all is sent again, and what waits is not sent before", async () => {
  let requests = 0;
  Socket.server = (socket, frame) => (requests++ < 3 ? socket.push(throttled) : obliging(socket, frame));
  const client = await connect();
  const lists = ["a", "b", "c"].map((channel) => client.list(channel));
  lists.push(client.list("d"));
  await now();
  assert.deepEqual(last().said.map(({ channel }) => channel), ["a"], "the others wait");
  await pass(10 * SECOND);
  assert.deepEqual((await Promise.all(lists)).map(({ channel }) => channel), ["a", "b", "c", "d"]);
});

test("a request of one's own that fails is told from the others", async () => {
  Socket.server = () => {};
  const client = await connect();
  const listed = client.list("a");
  const voted = client.request({ action: "vote" }, (frame) => frame.type === "tally");
  const again = client.request({ action: "vote" }, (frame) => frame.type === "tally");
  assert.equal(said(last(), "vote").length, 1, "one after another: nothing tells their answers apart");
  assert.equal(last().unanswered.length, 1, "it carries no reference");
  last().onmessage({ data: JSON.stringify(refused("invalid_request")) });
  await assert.rejects(voted, { code: "invalid_request" });
  last().push({ type: "tally" }, { type: "members", channel: "a", members: [] });
  await Promise.all([again, listed]);
});

test("at a round trip of 80 ms, fifty messages a second are sent, though it is one channel", async () => {
  Socket.server = (socket, frame) => setTimeout(() => obliging(socket, frame), 80);
  const client = await connect();
  let acks = 0;
  const send = () => client.send("a", 1, { ordered: false }).then(() => (acks++, send()), () => {});
  for (let waiting = 0; waiting < 40; waiting++) send();
  for (let passed = 0; passed < 10 * SECOND; passed += 10) {
    mock.timers.tick(10);
    await now();
  }
  assert.ok(acks >= 500, `${acks} in 10 s`);
  Socket.server = () => {};
});

test("channels are entered and left, and their members listed page by page", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  await client.subscribe("log", { since: 0 });
  const listed = client.list("lobby", { limit: 2, after: "there" });
  last().push({ type: "members", channel: "another", members: [1] });
  const page = await listed;
  await client.unsubscribe("lobby");
  assert.deepEqual(last().said, [
    { action: "subscribe", channel: "lobby" },
    { action: "subscribe", channel: "log", since: 0 },
    { action: "list", channel: "lobby", limit: 2, after: "there" },
    { action: "unsubscribe", channel: "lobby" },
  ]);
  assert.deepEqual(page.members, []);
});

test("a request of one's own is answered by what one says", async () => {
  Socket.server = (socket) => socket.push({ type: "tally", votes: { tea: 1 } });
  const client = await connect();
  const tally = await client.request({ action: "vote", option: "tea" }, (frame) => frame.type === "tally");
  assert.deepEqual(tally.votes, { tea: 1 });
});

// --- events ------------------------------------------------------------------------------------------

test("what the server says is an event of its type, and doubles are dropped by id", async () => {
  const client = await connect();
  const joined = { type: "joined", channel: "lobby", connectionId: "c2", at: 1 };
  last().push(message("a", 1), joined, message("a", 1), { ...joined, type: "left" }, message("b", 2));
  last().push({ type: "tally" }, fault);
  assert.deepEqual(events.map(([type, { id }]) => id ?? type), ["a", "joined", "left", "b", "frame", "error"]);
  const stop = client.on("message", () => assert.fail("it was stopped"));
  stop();
  last().push(message("c", 3));
});

test("the ids of the last ten thousand messages are remembered", async () => {
  await connect();
  for (let id = 0; id <= 10_000; id++) last().push(message(`${id}`, 1));
  last().push(message("10000", 1), message("1", 1), message("0", 1));
  assert.deepEqual(heard().slice(10_000), ["10000", "0"]);
});

test("what is no JSON object is an event too, answers nothing, and settles nothing", async () => {
  Socket.server = () => {};
  const client = await connect();
  const answered = client.request({ action: "vote" }, (frame) => "votes" in frame);
  const odd = ["", "hello", "null", "7", '"text"', "[1]", "{", new Blob(["{}"]), new ArrayBuffer(2)];
  for (const data of odd) last().onmessage({ data });
  assert.deepEqual(events, odd.map((data) => ["frame", data]));
  last().push({ votes: 1 });
  assert.deepEqual(await answered, { votes: 1 });
});

test("a message without an id is no double of another", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().push(recorded("a"));
  for (const id of [undefined, undefined, 7, 7, null, null]) last().push({ type: "message", channel: "lobby", id });
  assert.equal(heard().length, 7);
  last().drop();
  await pass(1 * SECOND);
  assert.equal(last().said[0].after, 1, "without a number it moves nothing");
});

// --- the queue ---------------------------------------------------------------------------------------

test("what is asked for offline is sent in its order once there is a connection", async () => {
  Socket.accepts = false;
  const client = await connect();
  const answers = [client.subscribe("lobby"), client.send("lobby", 1), client.send("lobby", 2)];
  await now();
  assert.deepEqual(last().said, []);
  last().open();
  await Promise.all(answers);
  assert.deepEqual(last().said.map((frame) => frame.message ?? frame.action), ["subscribe", 1, 2]);
});

test("the queue is bounded, and who comes too late is told", async () => {
  Socket.accepts = false;
  const client = await connect();
  const waiting = Array.from({ length: 100 }, (_, number) => client.send("*", number));
  await assert.rejects(client.send("*", "one too many"), (error) => {
    assert.deepEqual([error.code, error.request.message], ["queue_full", "one too many"]);
    return true;
  });
  last().open();
  assert.equal((await Promise.all(waiting)).length, 100);
});

test("a request whose answer was lost with the connection is sent again, once", async () => {
  Socket.server = () => {};
  const client = await connect();
  const sent = client.send("*", "hello");
  const after = client.send("*", "after");
  last().drop();
  await pass(1 * SECOND);
  assert.deepEqual(last().said.map((frame) => frame.message), ["hello"]);
  last().drop();
  await assert.rejects(sent, { code: "unanswered" });
  Socket.server = obliging;
  await pass(1 * SECOND);
  await after;
  assert.deepEqual(last().said.map((frame) => frame.message), ["after"]);
});

test("a message that is sent again has the same id, and each message another one", async () => {
  const client = await connect();
  Socket.server = () => {};
  const sent = client.send("*", 1);
  await now();
  Socket.server = obliging;
  last().drop();
  await pass(1 * SECOND);
  await sent;
  await client.send("*", 1);
  const [first, again, other] = sockets().flatMap(({ ids }) => ids);
  assert.match(first, /^[0-9a-f]{32}$/);
  assert.equal(first.length, ID_LENGTH);
  assert.equal(again, first);
  assert.notEqual(other, first);
});

test("a frame that API Gateway would close the connection for is not sent, nor does it wait", async () => {
  const client = await connect();
  const size = (text) => new Blob([JSON.stringify({ action: "send", channel: "*", message: text, id: "-".repeat(ID_LENGTH), ref: "-".repeat(8) })]).size;
  const fits = "é".repeat((32_768 - size("")) / 2) + "x".repeat(size("") % 2);
  assert.equal(size(fits), 32_768);
  const isTold = (error) => {
    assert.ok(error instanceof RequestError);
    assert.deepEqual([error.code, error.message], ["message_too_large", "It has 32769 bytes; at most 32768 can be sent."]);
    return error.request.message === `${fits}x`;
  };
  await client.send("*", fits);
  await assert.rejects(client.send("*", `${fits}x`), isTold);
  last().drop();
  await assert.rejects(client.send("*", `${fits}x`), isTold);
  await pass(1 * SECOND);
  assert.deepEqual(sockets().map(({ said }) => said.length), [1, 0]);
});

test("a request that is no JSON fails, and the next one does not", async () => {
  const client = await connect();
  await assert.rejects(client.send("*", 1n), TypeError);
  assert.equal((await client.send("*", "hello")).id, "m1");
});

test("a request that the server closes the connection for is not sent again", async () => {
  Socket.server = () => {};
  const client = await connect();
  const sent = client.send("*", "hello");
  last().drop(1009);
  await assert.rejects(sent, { code: "message_too_large" });
  await pass(1 * SECOND);
  assert.deepEqual(last().said, []);
});

test("a request that nobody answers ends the connection", async () => {
  Socket.server = () => {};
  const client = await connect();
  const sent = client.send("*", "hello");
  await pass(11 * SECOND);
  assert.deepEqual(last().said.map(({ action }) => action), ["send", "ping"], "is anybody there?");
  await pass(8 * SECOND);
  assert.equal(sockets().length, 1);
  Socket.server = obliging;
  await pass(2 * SECOND);
  assert.equal(sockets()[0].closedWith, "no code");
  assert.equal((await sent).id, "m2");
});

test("a request that takes long is waited for where the other side is there", async () => {
  Socket.server = (socket, frame) => frame.action === "ping" && obliging(socket, frame);
  const client = await connect();
  const sent = assert.rejects(client.send("*", "hello"), { code: "unanswered" });
  await pass(34 * SECOND);
  assert.deepEqual([sockets().length, said(last(), "ping").length], [1, 3]);
  await pass(40 * SECOND);
  await sent;
});

// --- staying connected -------------------------------------------------------------------------------

test("tries to connect come later and later, half of it by chance", async () => {
  for (const [chance, delays] of [
    [1, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]],
    [0, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]],
  ]) {
    Math.random.mock.mockImplementation(() => chance);
    Object.assign(Socket, { all: [], accepts: false });
    globalThis.fetch = async () => Promise.reject(new TypeError("Failed to fetch"));
    const client = await connect();
    for (const delay of delays) {
      const count = sockets().length;
      last().drop();
      await now();
      assert.deepEqual(client.state, { name: "waiting", retryAt: Date.now() + delay });
      mock.timers.tick(delay - 1);
      await now();
      assert.equal(sockets().length, count);
      mock.timers.tick(1);
      await now();
      assert.equal(sockets().length, count + 1);
    }
  }
});

test("a connection that held begins the delays anew, and one that did not does not", async () => {
  const client = await connect();
  const delay = () => client.state.retryAt - Date.now();
  last().drop();
  assert.equal(delay(), 500);
  await pass(1 * SECOND);
  last().drop();
  assert.equal(delay(), 1_000);
  await pass(12 * SECOND);
  last().drop();
  assert.equal(delay(), 500);
});

test("a heartbeat keeps the connection from being idle", async () => {
  await connect();
  await pass(9 * MINUTE);
  assert.deepEqual(last().said, [{ action: "ping" }]);
  await pass(6 * MINUTE);
  assert.equal(said(last(), "ping").length, 3);
  assert.equal(sockets().length, 1);
});

test("a request that is under way is heartbeat enough", async () => {
  const client = await connect();
  await pass(5 * MINUTE - 5 * SECOND);
  Socket.server = () => {};
  const sent = client.send("*", "a long answer");
  await pass(9 * SECOND);
  client.wake();
  assert.deepEqual(said(last(), "ping"), []);
  last().push({ type: "ack", id: "m1" });
  await sent;
});

test("a connection on which the heartbeat stays unanswered is replaced", async () => {
  await connect();
  Socket.server = () => {};
  await pass(5 * MINUTE + 9 * SECOND);
  assert.equal(sockets().length, 1);
  await pass(2 * SECOND);
  assert.equal(sockets().length, 2);
  assert.deepEqual(states, ["open", "waiting", "connecting", "open"]);
});

test("whatever comes is a sign of life", async () => {
  await connect();
  Socket.server = () => {};
  for (const data of ["hello", new Blob(["hello"])]) {
    await pass(5 * MINUTE);
    last().onmessage({ data });
  }
  await pass(11 * SECOND);
  assert.equal(said(last(), "ping").length, 2);
  assert.equal(sockets().length, 1);
});

test("a connection that does not open in time is given up", async () => {
  Socket.accepts = false;
  const client = await connect();
  client.wake();
  await pass(34 * SECOND);
  assert.equal(sockets().length, 1);
  await pass(2 * SECOND);
  assert.deepEqual([sockets().length, sockets()[0].closedWith], [2, "no code"]);
});

test("it is replaced before its two hours are over, and nothing is missed or doubled", async () => {
  const client = await connect();
  await client.subscribe("*");
  await client.subscribe("lobby");
  await pass(110 * MINUTE + SECOND);
  const [old, fresh] = sockets();
  assert.equal(sockets().length, 2);
  assert.deepEqual(fresh.said, ["*", "lobby"].map((channel) => ({ action: "subscribe", channel, after: 0 })));
  assert.ok(old.isOpen, "both are open for a moment");
  const [a, b, c] = [recorded("a"), recorded("b"), recorded("c")];
  old.push(a, b);
  fresh.push(b, c);
  await client.send("*", "by the new one");
  assert.equal(said(fresh, "send").length, 1);
  await pass(5 * SECOND);
  assert.equal(old.closedWith, 1000);
  assert.deepEqual(heard(), ["a", "b", "c"]);
  assert.deepEqual([gaps(), states], [[], ["open"]]);
  await pass(100 * MINUTE);
  assert.equal(sockets().length, 2);
});

test("the moment of its renewal is another for each client", async () => {
  Math.random.mock.mockImplementation(() => 0);
  await connect();
  await pass(100 * MINUTE - SECOND);
  assert.equal(sockets().length, 1);
  await pass(2 * SECOND);
  assert.equal(sockets().length, 2);
});

test("where there is no new connection to be had, the old one stays in use", async () => {
  const client = await connect();
  Socket.accepts = false;
  await pass(110 * MINUTE + SECOND);
  last().drop();
  await client.send("*", "still here");
  assert.equal(said(sockets()[0], "send").length, 1);
  assert.deepEqual(states, ["open"]);
  Socket.accepts = true;
  await pass(1 * SECOND);
  assert.equal(sockets().length, 3);
  await client.send("*", "moved");
  assert.equal(said(sockets()[2], "send").length, 1);
});

test("subscriptions move once the request under way has its answer", async () => {
  const client = await connect();
  Socket.server = (socket, frame) => frame.action !== "subscribe" && obliging(socket, frame);
  await pass(110 * MINUTE - SECOND);
  const entered = client.subscribe("lobby");
  await pass(2 * SECOND);
  const [old, fresh] = sockets();
  assert.deepEqual(said(fresh, "subscribe"), []);
  old.push({ type: "subscribed", channel: "lobby" });
  await entered;
  await now();
  assert.equal(said(fresh, "subscribe").length, 1);
  const sent = client.send("lobby", "by the new one");
  fresh.push({ type: "subscribed", channel: "lobby" });
  await sent;
  assert.deepEqual([said(old, "send").length, said(fresh, "send").length], [0, 1]);
});

test("a new connection that ends before it is used is not used", async () => {
  const client = await connect();
  await pass(110 * MINUTE - SECOND);
  Socket.server = () => {};
  const sent = client.send("*", "a long answer");
  await pass(2 * SECOND);
  const [old, fresh] = sockets();
  fresh.drop();
  Socket.server = obliging;
  old.push({ type: "ack", id: "m1" });
  await sent;
  await now();
  await client.send("*", "on the old one");
  assert.deepEqual([said(old, "send").length, fresh.said, states], [2, [], ["open"]]);
});

for (const [manner, end] of [
  ["is lost", (fresh) => fresh.drop()],
  ["has a fault that stays", async (fresh) => {
    Socket.server = (socket) => socket.push(fault);
    fresh.push(fault);
    await pass(8 * SECOND);
  }],
]) {
  test(`a new connection that ${manner} half-way has taken nothing from the old one`, async () => {
    const client = await connect();
    await client.subscribe("one");
    await client.subscribe("two");
    Socket.server = (socket, frame) => frame.channel !== "two" && obliging(socket, frame);
    await pass(110 * MINUTE + SECOND);
    const [old, fresh] = sockets();
    assert.equal(said(fresh, "subscribe").length, 2);
    await end(fresh);
    await now();
    old.push(recorded("a", "one"), recorded("b", "two"), recorded("c", "two"));
    Socket.server = obliging;
    old.drop();
    await pass(2 * SECOND);
    assert.deepEqual([sockets().length, heard(), gaps()], [3, ["a", "b", "c"], []]);
    assert.deepEqual(last().said.map(({ channel, after }) => [channel, after]), [["one", 1], ["two", 2]]);
  });
}

test("a fault half-way back that stays leaves every channel where it was", async () => {
  const client = await connect();
  await client.subscribe("one");
  await client.subscribe("two");
  last().push(recorded("a", "one"), recorded("b", "two"), recorded("c", "two"));
  last().drop();
  Socket.server = (socket, frame) => (frame.channel === "one" ? obliging(socket, frame) : socket.push(fault));
  await pass(9 * SECOND);
  Socket.server = obliging;
  await pass(2 * SECOND);
  assert.deepEqual(last().said.map(({ channel, after }) => [channel, after]), [["one", 1], ["two", 2]]);
});

test("an old connection that is lost while subscriptions move has left a gap to be filled", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().push(recorded("a"));
  Socket.server = (socket, frame) => frame.action !== "subscribe" && obliging(socket, frame);
  await pass(110 * MINUTE + SECOND);
  const [old, fresh] = sockets();
  assert.deepEqual(said(fresh, "subscribe"), [{ action: "subscribe", channel: "lobby", after: 1 }]);
  old.drop();
  Socket.server = obliging;
  fresh.push({ type: "subscribed", channel: "lobby", seq: 1 });
  await now();
  assert.deepEqual(said(fresh, "subscribe")[1], { action: "subscribe", channel: "lobby", after: 1 });
  assert.deepEqual([states, gaps()], [["open", "connecting", "open"], []]);
});

test("a network that changes is reason to look whether the connection is alive", async () => {
  const network = new EventTarget();
  const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { connection: network }, configurable: true });
  const client = await connect();
  Socket.server = () => {};
  network.dispatchEvent(new Event("change"));
  assert.deepEqual(last().said, [{ action: "ping" }]);
  await pass(11 * SECOND);
  assert.equal(sockets().length, 2, "a black hole is left within 30 s");
  client.close();
  network.dispatchEvent(new Event("change"));
  assert.equal(sockets().length, 2);
  delete globalThis.navigator;
  if (navigator) Object.defineProperty(globalThis, "navigator", navigator);
});

test("it tries at once when the machine is online again, or the page is looked at", async () => {
  const listeners = {};
  globalThis.addEventListener = (type, listener) => (listeners[type] = listener);
  globalThis.removeEventListener = (type) => delete listeners[type];
  globalThis.document = { ...globalThis, visibilityState: "visible" };
  const client = await connect();
  for (const type of ["online", "visibilitychange"]) {
    const count = sockets().length;
    last().drop();
    assert.equal(client.state.name, "waiting");
    listeners[type]();
    await now();
    assert.deepEqual([sockets().length, client.state.name], [count + 1, "open"]);
    await pass(1 * SECOND);
    assert.equal(sockets().length, count + 1, "and not once more");
  }
  // A connection that seems open may be dead.
  listeners.online();
  assert.deepEqual(last().said, [{ action: "ping" }]);
  globalThis.document.visibilityState = "hidden";
  listeners.visibilitychange();
  assert.equal(last().said.length, 1);
  client.close();
  assert.deepEqual(Object.keys(listeners), []);
  delete globalThis.addEventListener;
  delete globalThis.removeEventListener;
});

// --- coming back -------------------------------------------------------------------------------------

test("it comes back to its channels, and goes on from the last message that it saw", async () => {
  const client = await connect();
  recorded("before");
  for (const channel of ["lobby", "quiet", "left"]) await client.subscribe(channel);
  await client.unsubscribe("left");
  last().push(recorded("a"), recorded("b"));
  last().drop();
  for (const id of ["c", "d"]) recorded(id);
  await pass(1 * SECOND);
  assert.deepEqual(last().said, [
    { action: "subscribe", channel: "lobby", after: 3 },
    { action: "subscribe", channel: "quiet", after: 0 },
  ]);
  assert.deepEqual([heard(), gaps()], [["a", "b", "c", "d"], []]);
});

test("what the server does not keep any more is told as a gap", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().push(recorded("a"));
  last().drop();
  Socket.server = (socket, { channel }) => {
    socket.push({ ...message("z", 9_000, channel), seq: 9 }, { type: "subscribed", channel, seq: 9, replayed: 1, complete: false, missing: true });
  };
  await pass(1 * SECOND);
  assert.deepEqual(events.filter(([type]) => type === "gap"), [["gap", { channel: "lobby", since: 1_000 }]]);
  assert.deepEqual([heard(), client.state.name], [["a", "z"], "open"]);
});

test("where the numbers begin anew, so does the client", async () => {
  const client = await connect();
  for (const id of ["a", "b"]) recorded(id);
  await client.subscribe("lobby");
  last().drop();
  Socket.server = (socket, { channel }) => socket.push({ type: "subscribed", channel, seq: 0, replayed: 0, complete: false, missing: true });
  await pass(1 * SECOND);
  history = {};
  last().push(recorded("new"));
  assert.deepEqual([heard(), gaps()], [["new"], ["lobby"]]);
});

test("a server without a history is told nothing of numbers, and the gap is told", async () => {
  history = undefined;
  const client = await connect();
  for (const channel of ["*", "user:ada", "lobby"]) await client.subscribe(channel);
  last().push(message("a", 1_000, "lobby"), message("a", 1_000, "lobby"));
  last().drop();
  await pass(1 * SECOND);
  assert.deepEqual(last().said, ["*", "user:ada", "lobby"].map((channel) => ({ action: "subscribe", channel })));
  assert.deepEqual([heard(), gaps(), errors(), client.state.name], [["a"], ["*", "user:ada", "lobby"], [], "open"]);
});

test("a history that ends, or begins, while the client is away is learned of", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  history = undefined;
  last().drop();
  await pass(1 * SECOND);
  assert.deepEqual(gaps(), ["lobby"]);
  last().push(message("a", 1, "lobby"));
  history = { lobby: [] };
  recorded("b");
  last().drop();
  await pass(2 * SECOND);
  assert.deepEqual(gaps(), ["lobby", "lobby"]);
  last().push(recorded("c"));
  assert.deepEqual(heard(), ["a", "c"]);
});

test("where everybody is anyway, who subscribes has what was missed there", async () => {
  const client = await connect();
  last().push(recorded("before", "*"), message("none", 1, "user:ada"));
  await client.subscribe("*");
  await client.subscribe("user:ada");
  last().push(recorded("a", "*"));
  last().drop();
  recorded("b", "*");
  recorded("c", "user:ada");
  await pass(1 * SECOND);
  assert.deepEqual(heard(), ["before", "none", "a", "b", "c"]);
  await client.unsubscribe("*");
  assert.deepEqual(said(last(), "unsubscribe"), [], "nobody can leave it");
});

test("a fault of the server's where everybody is anyway is no reason to connect anew", async () => {
  const client = await connect();
  await client.subscribe("*");
  last().drop();
  Socket.server = (socket) => socket.push(fault);
  await pass(12 * SECOND);
  assert.deepEqual([gaps(), client.state.name, sockets().length], [["*"], "open", 2]);
});

test("a replay that was lost with the connection goes on from where it was", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().push(recorded("a"));
  last().drop();
  Socket.server = () => {};
  await pass(1 * SECOND);
  last().push(recorded("b"), recorded("c"));
  recorded("d");
  last().drop();
  Socket.server = obliging;
  await pass(1 * SECOND);
  assert.deepEqual(last().said, [{ action: "subscribe", channel: "lobby", after: 3 }]);
  assert.deepEqual([heard(), gaps()], [["a", "b", "c", "d"], []]);
});

test("a replay of several pages is asked for to its end, and what is said meanwhile comes in its place", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().push(recorded("1"));
  last().drop();
  const rest = ["2", "3", "4", "5", "6"].map((id) => recorded(id));
  Socket.server = (socket, { channel, after }) => {
    const page = rest.filter(({ seq }) => seq > after).slice(0, 2);
    const through = page.at(-1)?.seq ?? after;
    const more = through < 6;
    socket.push(...page.slice(0, 1), rest.at(-1), ...page.slice(1), { type: "subscribed", channel, seq: through, replayed: page.length, complete: !more, ...(more && { more }) });
  };
  await pass(1 * SECOND);
  assert.deepEqual(last().said.map(({ after }) => after), [1, 3, 6]);
  assert.deepEqual([heard(), gaps()], [["1", "2", "3", "4", "5", "6"], []]);
});

test("a page that brought nothing is asked for again after a while", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().drop();
  recorded("a");
  let failures = 2;
  Socket.server = (socket, frame) => {
    if (failures-- > 0) socket.push({ type: "subscribed", channel: "lobby", seq: 0, replayed: 0, complete: false, more: true });
    else obliging(socket, frame);
  };
  await pass(4 * SECOND);
  assert.deepEqual([last().said.map(({ after }) => after), heard()], [[0, 0, 0], ["a"]]);
});

test("who subscribes with a time learns how much was replayed, and whether it is all", async () => {
  const client = await connect();
  recorded("a");
  recorded("b");
  assert.deepEqual(await client.subscribe("lobby", { since: 2_000 }), { replayed: 1, complete: true });
  last().push(recorded("c"));
  assert.deepEqual(await client.subscribe("lobby", { since: 0 }), { replayed: 3, complete: true });
  assert.deepEqual(heard(), ["b", "c", "a"], "each once");
  history = undefined;
  assert.deepEqual(await client.subscribe("log", { since: 0 }), { replayed: 0, complete: false });
  assert.deepEqual(await client.subscribe("*"), { replayed: undefined, complete: undefined });
});

// --- the order of messages ---------------------------------------------------------------------------

/** In a lobby that has three messages, after the first. */
async function inLobby() {
  const client = await connect();
  recorded("1");
  await client.subscribe("lobby");
  return [client, ...["2", "3", "4"].map((id) => recorded(id))];
}

test("messages come in the order of their numbers, each once, in whatever order they arrive", async () => {
  const [, two, three, four] = await inLobby();
  last().push(four, three, history.lobby[0], three);
  assert.deepEqual(heard(), []);
  last().push(two, two, four);
  assert.deepEqual(heard(), ["2", "3", "4"]);
  await pass(1 * SECOND);
  assert.equal(last().said.length, 1, "nothing is missing");
});

test("a message that is missing is asked for after a moment", async () => {
  const [, two, , four] = await inLobby();
  last().push(two, four);
  mock.timers.tick(1_999);
  await now();
  assert.deepEqual([heard(), last().said.length], [["2"], 1], "it may still come");
  mock.timers.tick(1);
  await now();
  assert.deepEqual(last().said[1], { action: "subscribe", channel: "lobby", after: 2 });
  assert.deepEqual([heard(), gaps()], [["2", "3", "4"], []]);
});

test("a number without a message keeps nothing waiting once the server says so", async () => {
  const [, , three, four] = await inLobby();
  Socket.server = (socket, { channel }) => socket.push(three, four, { type: "subscribed", channel, seq: 4, replayed: 2, complete: true });
  last().push(four);
  await pass(2 * SECOND);
  assert.deepEqual([heard(), gaps()], [["3", "4"], []]);
  last().push({ ...message("2", 1, "lobby"), seq: 2 });
  assert.deepEqual(heard(), ["3", "4"], "and comes too late");
});

test("that numbers have begun anew is found with the next message", async () => {
  await inLobby();
  last().push(...history.lobby);
  history = { lobby: [] };
  const first = { ...recorded("first of the new ones"), sentAt: Date.now() + 5 * MINUTE };
  Socket.server = (socket, { channel }) => queueMicrotask(() => socket.push({ type: "subscribed", channel, seq: 1, replayed: 0, complete: false, missing: true }));
  last().push(first);
  await now();
  assert.deepEqual([said(last(), "subscribe").at(-1).after, gaps()], [4, ["lobby"]]);
  last().push(recorded("second"));
  assert.equal(heard().at(-1), "second");
});

test("many messages that wait for one are reason to ask for it at once", async () => {
  const [, two] = await inLobby();
  for (let seq = 5; seq < 1_003; seq++) last().push(recorded(`${seq}`));
  assert.equal(last().said.length, 1);
  for (let seq = 1_003; seq < 1_010; seq++) last().push(recorded(`${seq}`));
  await now();
  assert.deepEqual([last().said.length, heard().length, heard()[0]], [2, 1_008, two.id]);
});

test("who is left out does not miss anything", async () => {
  const [client, , three] = await inLobby();
  last().push({ type: "skipped", channel: "lobby", seq: 2 }, three);
  assert.deepEqual(heard(), ["3"]);
  Socket.server = (socket) => socket.push({ type: "ack", id: "m", requestId: "r", seq: 4 });
  await client.send("lobby", "4", { echo: false });
  history.lobby.length = 4;
  last().push(recorded("5"));
  await pass(1 * SECOND);
  assert.deepEqual([heard(), said(last(), "subscribe").length], [["3", "5"], 1]);
});

test("a message that cannot be had is told as a gap, and the others come", async () => {
  const [, two, , four] = await inLobby();
  Socket.server = (socket) => socket.push(refused("forbidden"));
  last().push(two, four);
  await pass(2 * SECOND);
  assert.deepEqual([heard(), events.filter(([type]) => type === "gap")], [["2", "4"], [["gap", { channel: "lobby", since: 2_000 }]]]);
});

test("what comes before the subscription is confirmed comes in its place, or is from before it", async () => {
  const client = await connect();
  Socket.server = () => {};
  const subscribed = client.subscribe("lobby");
  const [one, two, three, four] = ["1", "2", "3", "4"].map((id) => recorded(id));
  last().push(four, two, one);
  assert.deepEqual(heard(), []);
  last().push({ type: "subscribed", channel: "lobby", seq: 2 });
  await subscribed;
  last().push(three);
  assert.deepEqual(heard(), ["3", "4"]);
});

test("whatever is lost, doubled, late or left out, each message is given once and in order", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    Object.assign(Socket, { all: [], server: obliging });
    [events, history] = [[], {}];
    let state = seed;
    const random = (below) => (state = (state * 48_271) % 2_147_483_647) % below;
    const client = await connect();
    if (random(2)) recorded("before");
    const base = history.lobby?.length ?? 0;
    await client.subscribe("lobby");
    const late = [];
    for (let number = 0; number < 30; number++) {
      const frame = recorded(`${number}`);
      switch (random(8)) {
        case 0: break; // Lost.
        case 1: late.push(frame); break;
        case 2: last().push(frame, frame); break;
        case 3: last().push(...late.splice(0).reverse()); late.push(frame); break;
        case 4: last().drop(); await pass(random(3) * SECOND); break;
        case 5: await pass(random(2) * SECOND); last().push(frame); break;
        default: last().push(frame);
      }
    }
    last().push(recorded("last"));
    await pass(5 * SECOND);
    assert.deepEqual(heard(), history.lobby.slice(base).map(({ id }) => id), `seed ${seed}`);
    assert.deepEqual(gaps(), [], `seed ${seed}`);
    client.close();
  }
});

test("a new sending under an id that was used before is another message", async () => {
  await inLobby();
  last().push(history.lobby[1], { ...history.lobby[2], id: "2" });
  assert.deepEqual(heard(), ["2", "2"]);
});

test("a channel that was left is not entered again, however early it was left", async () => {
  const client = await connect();
  await client.subscribe("left offline");
  Socket.server = () => {};
  const entered = client.subscribe("left at once");
  const left = client.unsubscribe("left at once");
  last().push({ type: "subscribed", channel: "left at once" });
  await entered;
  last().push({ type: "unsubscribed", channel: "left at once" });
  await left;
  last().drop();
  Socket.server = obliging;
  const leftOffline = client.unsubscribe("left offline");
  await pass(1 * SECOND);
  await leftOffline;
  assert.deepEqual(last().said, [{ action: "unsubscribe", channel: "left offline" }]);
});

test("to subscribe again forgets nothing", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().push(recorded("a"));
  await client.subscribe("lobby");
  last().drop();
  await pass(1 * SECOND);
  assert.equal(last().said[0].after, 1);
});

test("what waits is sent after the subscriptions are back", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().drop();
  const sent = client.send("lobby", "queued");
  await pass(1 * SECOND);
  await sent;
  assert.deepEqual(last().said.map(({ action }) => action), ["subscribe", "send"]);
});

test("a channel that is closed to it by then is told, and not entered any more", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().drop();
  Socket.server = (socket) => socket.push(refused("forbidden"));
  await pass(1 * SECOND);
  assert.deepEqual([errors(), client.state.name], [["forbidden"], "open"]);
  const [, { request }] = events.find(([type]) => type === "error");
  assert.deepEqual(request, { action: "subscribe", channel: "lobby" }, "it tells which channel");
  last().drop();
  await pass(2 * SECOND);
  assert.deepEqual(last().said, []);
});

test("a fault of the server's that stays while it comes back is a reason to connect anew", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().drop();
  Socket.server = (socket) => socket.push(fault);
  await pass(8 * SECOND);
  assert.deepEqual([sockets().length, client.state.name, said(last(), "subscribe").length], [2, "connecting", 4]);
  await pass(1 * SECOND);
  assert.deepEqual([errors(), client.state.name, last().closedWith], [["gateway"], "waiting", "no code"]);
  Socket.server = obliging;
  await pass(2 * SECOND);
  assert.equal(client.state.name, "open");
});

for (const [what, answer, patience] of [
  ["throttled", throttled, 280],
  ["busy with a replay", refused("too_many_requests"), 40],
  ["at fault", fault, 4],
]) {
  test(`a server that is ${what} for a while is asked again on the same connection, later and later`, async () => {
    const client = await connect();
    await client.subscribe("one");
    await client.subscribe("two");
    last().push(recorded("a", "one"), recorded("b", "two"), recorded("c", "two"));
    last().drop();
    Socket.server = (socket, frame) => (frame.channel === "one" ? obliging(socket, frame) : socket.push(answer));
    await pass(patience * SECOND);
    assert.equal(client.state.name, "connecting");
    const tries = said(last(), "subscribe").length - 1;
    assert.ok(tries > 2 && tries < patience, `${tries} tries`);
    Socket.server = obliging;
    await pass(16 * SECOND);
    assert.deepEqual([sockets().length, client.state.name, errors(), gaps()], [2, "open", [], []]);
    assert.deepEqual(said(last(), "subscribe").slice(-1), [{ action: "subscribe", channel: "two", after: 2 }]);
    assert.equal(said(last(), "subscribe").filter(({ channel }) => channel === "one").length, 1, "what is back stays");
  });
}

test("a server that is throttled for too long is left, and no channel is forgotten", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().drop();
  Socket.server = (socket) => socket.push(throttled);
  await pass(5 * MINUTE - 13 * SECOND);
  assert.deepEqual([errors(), client.state.name], [["throttled"], "waiting"]);
  Socket.server = obliging;
  await pass(2 * SECOND);
  assert.deepEqual([said(last(), "subscribe").length, client.state.name], [1, "open"]);
});

test("a connection that is lost while it waits to ask again is replaced at once", async () => {
  const client = await connect();
  await client.subscribe("lobby");
  last().drop();
  Socket.server = (socket) => socket.push(throttled);
  await pass(100 * SECOND);
  Socket.server = obliging;
  last().drop();
  await pass(1.5 * SECOND);
  assert.deepEqual([sockets().length, client.state.name], [3, "open"]);
  const asked = sockets()[1].said.length;
  await pass(20 * SECOND);
  assert.equal(sockets()[1].said.length, asked, "nothing is said on the lost one");
});

// --- being let in ------------------------------------------------------------------------------------

test("who is refused again and again by a server that is there is told so, and tries slowly", async () => {
  const asked = [];
  globalThis.fetch = async (url, { mode }) => asked.push([url, mode]);
  Socket.accepts = false;
  const client = await connect(`${ADDRESS}?token=bad`);
  for (let refusal = 1; refusal < 3; refusal++) {
    last().drop();
    await pass(1 * SECOND);
  }
  assert.equal(client.state.name, "connecting");
  last().drop();
  await now();
  assert.deepEqual(client.state, { name: "refused", retryAt: Date.now() + 30 * SECOND });
  assert.deepEqual(asked, [["https://example.test/dev", "no-cors"]], "without the token");
  await pass(30 * SECOND);
  assert.equal(sockets().length, 4);
  assert.equal(client.state.name, "refused", "a try changes nothing yet");
  last().open();
  await now();
  assert.equal(client.state.name, "open");
  last().drop();
  await pass(30 * SECOND);
  last().drop();
  await now();
  assert.deepEqual([client.state.name, asked.length], ["waiting", 1], "one refusal says nothing");
});

test("a server that is not there refuses nobody", async () => {
  globalThis.fetch = async () => Promise.reject(new TypeError("Failed to fetch"));
  Socket.accepts = false;
  const client = await connect();
  for (let attempt = 0; attempt < 5; attempt++) {
    last().drop();
    await now();
    assert.equal(client.state.name, "waiting");
    await pass(30 * SECOND);
  }
});

test("each connection has a fresh token, in the URL or as a sub-protocol", async () => {
  let token = 0;
  await connect(async () => `${ADDRESS}?token=${++token}`);
  last().drop();
  await pass(1 * SECOND);
  assert.deepEqual(sockets().map(({ url }) => url), [`${ADDRESS}?token=1`, `${ADDRESS}?token=2`]);
  await connect(() => ({ url: ADDRESS, protocols: ["bearer", "secret"] }));
  assert.deepEqual([last().url, last().protocols], [ADDRESS, ["bearer", "secret"]]);
});

test("a token that cannot be had is told, and asked for again", async () => {
  let works = false;
  const client = await connect(async () => works ? ADDRESS : Promise.reject(new Error("The login has expired.")));
  await now();
  assert.deepEqual(events.map(([type, error]) => [type, error.code, error.message]), [["error", "url", "Error: The login has expired."]]);
  assert.equal(client.state.name, "waiting");
  works = true;
  await pass(1 * SECOND);
  assert.equal(client.state.name, "open");
});

test("a token that never comes is given up, told, and asked for again", async () => {
  const tokens = [new Promise(() => {}), ADDRESS, new Promise(() => {})];
  const client = await connect(() => tokens.shift() ?? ADDRESS);
  await pass(34 * SECOND);
  assert.deepEqual([errors(), client.state.name], [[], "connecting"]);
  await pass(2 * SECOND);
  assert.deepEqual([errors(), client.state.name], [["url"], "open"]);
  await pass(110 * MINUTE + 36 * SECOND);
  assert.deepEqual([errors(), client.state.name, sockets().length], [["url", "url"], "open", 2], "nor does a renewal wait for it");
});

test("a URL that is none is told", async () => {
  const client = await connect("example.test");
  assert.deepEqual([errors(), client.state.name], [["url"], "waiting"]);
});

test("the example in the README does what it says", async () => {
  const said = [];
  mock.method(console, "log", (...words) => said.push(words.join(" ")));
  globalThis.fetch = async (path) => Response.json(path === "/socket" && { url: ADDRESS, token: "fresh" });
  await import("../example.js");
  assert.deepEqual(last().protocols, ["bearer", "fresh"]);
  last().push(message("packed", 1_700_000_000_000, "orders.4711"));
  last().drop();
  Socket.server = (socket, { channel }) => socket.push({ type: "subscribed", channel, replayed: 0, complete: false });
  await pass(1 * SECOND);
  assert.deepEqual(said.map((line) => line.replace(/ \w+ Nov .*/, "")), [
    "open",
    "1 connections have it.",
    "orders.4711 packed",
    "waiting",
    "connecting",
    "Load orders.4711 anew: something may be missing.",
    "open",
  ]);
});

test("the first lines in the README of the repository do what they say", async () => {
  const said = [];
  mock.method(console, "log", (...words) => said.push(words.map((word) => JSON.stringify(word)).join(" ")));
  Socket.server = (socket, request) => {
    if (request.action === "subscribe") {
      socket.push({ ...message("kept", 1_700_000_000_000, request.channel) });
      socket.push({ type: "subscribed", channel: request.channel, replayed: 1, complete: false });
    } else {
      socket.push({ ...message("own", 1_700_000_000_001, request.channel), message: request.message });
      socket.push({ type: "ack", id: "own", requestId: "r", delivered: 1, gone: 0, failed: 0 });
    }
  };
  await import("../start.js");
  assert.deepEqual(said, ['"orders.4711" "kept"', '"orders.4711" {"status":"packed"}']);
});

// --- the end -----------------------------------------------------------------------------------------

test("who closes it stays disconnected, and what waits is told so", async () => {
  Socket.server = () => {};
  const client = await connect();
  const underWay = client.send("*", 1);
  const waiting = client.subscribe("lobby");
  client.close();
  assert.equal(last().closedWith, 1000);
  await assert.rejects(underWay, { code: "closed" });
  await assert.rejects(waiting, { code: "closed" });
  await assert.rejects(client.send("*", 2), { code: "closed" });
  client.wake();
  await pass(150 * MINUTE);
  assert.equal(sockets().length, 1);
  assert.deepEqual(states, ["open", "closed"]);
});

test("it can be closed at any moment of its life", async () => {
  const moments = {
    "before it has a URL": async () => clients.push(new WebSocketClient(() => new Promise((resolve) => setTimeout(resolve, SECOND, ADDRESS)))),
    "before it is open": async () => {
      Socket.accepts = false;
      await connect();
    },
    "while it waits": async () => {
      await connect();
      last().drop();
    },
    "while its subscriptions move": async () => {
      const client = await connect();
      await client.subscribe("lobby");
      Socket.server = (socket, frame) => frame.action !== "subscribe" && obliging(socket, frame);
      await pass(110 * MINUTE + SECOND);
    },
    "while the old connection is still there": async () => {
      await connect();
      await pass(110 * MINUTE + SECOND);
    },
  };
  for (const [moment, reach] of Object.entries(moments)) {
    Object.assign(Socket, { all: [], server: obliging, accepts: true });
    await reach();
    clients.at(-1).close();
    await assert.rejects(clients.at(-1).send("*", "too late"), { code: "closed" }, moment);
    assert.deepEqual(sockets().filter((socket) => socket.isOpen), [], moment);
    await now();
    const count = sockets().length;
    await pass(5 * MINUTE);
    assert.equal(sockets().length, count, moment);
    assert.deepEqual(sockets().filter((socket) => socket.isOpen), [], moment);
    assert.equal(clients.at(-1).state.name, "closed", moment);
  }
});
