// The hooks, in a page that is not drawn.

import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, mock, test } from "node:test";

import { transform } from "esbuild";
import { Window } from "happy-dom";
import { StrictMode, act, createElement } from "react";

import { WebSocketClient } from "../src/index.js";
import { useChannel, useConnectionState, usePresence } from "../src/react.js";
import { FakeServer } from "../src/testing.js";

const window = new Window();
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true });
const { createRoot } = await import("react-dom/client");

let server;
let client;
let root;
const connection = () => [...server.connections].at(-1);
/** Lets everything happen that needs no time, and be shown. */
const settle = () => act(() => new Promise((resolve) => setImmediate(resolve)));
const shown = () => window.document.body.textContent;

async function show(element) {
  await act(() => root.render(element));
  await settle();
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  server = new FakeServer({ announces: () => true, principal: ({ protocols }) => protocols[0] });
  client = new WebSocketClient({ url: "wss://server.test", protocols: ["ada"] }, { WebSocket: server.WebSocket });
  const container = window.document.createElement("div");
  window.document.body.replaceChildren(container);
  root = createRoot(container);
});

afterEach(async () => {
  await act(() => root.unmount());
  client.close();
  mock.reset();
});

test("the state of the connection is shown", async () => {
  const State = () => useConnectionState(client).name;
  await show(createElement(State));
  assert.equal(shown(), "open");
  await act(async () => server.cut());
  await settle();
  assert.equal(shown(), "waiting");
});

test("a component is in its channel while it is mounted, and hears it with the latest listener", async () => {
  const heard = [];
  function Room({ name, prefix }) {
    useChannel(client, name, ({ message }) => heard.push(prefix + message));
    return name;
  }
  await show(createElement(Room, { name: "lobby", prefix: "1 " }));
  server.publish("lobby", "hello");
  await settle();
  await show(createElement(Room, { name: "lobby", prefix: "2 " }));
  server.publish("lobby", "hello");
  await settle();
  assert.deepEqual(heard, ["1 hello", "2 hello"]);
  await show(createElement(Room, { name: "kitchen", prefix: "3 " }));
  assert.deepEqual([...connection().channels], ["kitchen"]);
  await show(null);
  assert.deepEqual([...connection().channels], []);
});

test("the last of several components leaves the channel", async () => {
  const Room = () => void useChannel(client, "lobby");
  await show([createElement(Room, { key: 1 }), createElement(Room, { key: 2 })]);
  await show([createElement(Room, { key: 2 })]);
  assert.deepEqual([...connection().channels], ["lobby"]);
  await show([]);
  assert.deepEqual([...connection().channels], []);
});

test("it is in the channel, too, where React mounts everything twice", async () => {
  const heard = [];
  const Room = () => void useChannel(client, "lobby", ({ message }) => heard.push(message));
  await show(createElement(StrictMode, null, createElement(Room)));
  server.publish("lobby", "hello");
  await settle();
  assert.deepEqual([[...connection().channels], heard], [["lobby"], ["hello"]]);
});

test("why a channel cannot be entered is told, for this channel alone", async () => {
  const { subscribe } = server.routes;
  const forbidden = { type: "error", code: "forbidden", message: "No." };
  server.routes.subscribe = (frame, from) => (frame.channel === "secret" ? forbidden : subscribe(frame, from));
  const Room = ({ name }) => useChannel(client, name).error?.code ?? "entered";
  await show(createElement(Room, { name: "secret" }));
  assert.equal(shown(), "forbidden");
  await show(createElement(Room, { name: "lobby" }));
  assert.equal(shown(), "entered");
});

test("who is in a channel is shown as it changes", async () => {
  function People() {
    useChannel(client, "lobby");
    return usePresence(client, "lobby").map(({ id }) => id).join(" ");
  }
  await show(createElement(People));
  assert.equal(shown(), "ada");
  const other = new WebSocketClient({ url: "wss://server.test", protocols: ["grace"] }, { WebSocket: server.WebSocket });
  await act(() => other.subscribe("lobby"));
  await settle();
  assert.equal(shown(), "ada grace");
  await act(() => other.unsubscribe("lobby"));
  await settle();
  assert.equal(shown(), "ada");
  await show(null);
  assert.deepEqual([...[...server.connections][0].channels], []);
  await act(async () => other.close());
  await settle();
});

test("the example in the README does what it says", async () => {
  const source = (await readFile(new URL("../example.jsx", import.meta.url), "utf8"))
    .replace('new WebSocketClient("wss://…")', "globalThis.exampleClient");
  assert.match(source, /exampleClient/);
  const { code } = await transform(source, { loader: "jsx", jsx: "automatic" });
  globalThis.exampleClient = client;
  // Beside the package, whose own name it imports.
  const file = new URL("../example.compiled.js", import.meta.url);
  await writeFile(file, code);
  try {
    const { Room } = await import(file);
    server.publish("lobby", "before");
    await show(createElement(Room));
    assert.match(shown(), /open, 1 here.*before/);
    await act(async () => window.document.querySelector("button").click());
    await settle();
    assert.match(shown(), /before.*Hello/);
  } finally {
    await rm(file);
  }
});
