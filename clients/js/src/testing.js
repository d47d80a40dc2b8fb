/**
 * A server for the tests of whoever uses the client: it speaks the protocol in memory, without a network.
 *
 * @module
 */

import { isGiven } from "./frames.js";
/** @import { Numbered } from "./frames.js" */

const REPLAY = 500;
const LISTED = 100;

/**
 * @typedef {(frame: any, connection: FakeConnection) => any} Route answers a request; without an answer, the client hears nothing
 *
 * @typedef {object} FakeOptions
 * @property {boolean} [history] whether messages are numbered and kept: true
 * @property {number} [replay] how many messages an answer to `after` or `since` holds: 500
 * @property {number} [latencyMs] how long a frame is under way: 0
 * @property {(channel: string) => boolean} [announces] whose members hear who joins and leaves: no channel's
 * @property {(target: { url: string, protocols: string[] }) => string | undefined} [principal] whose connection it is: nobody's
 */

/**
 * Plays API Gateway and the functions behind it. Give its `WebSocket` to the clients.
 *
 * ```js
 * const server = new FakeServer();
 * const client = new WebSocketClient("wss://server.test", { WebSocket: server.WebSocket });
 * ```
 */
export class FakeServer {
  /** The connections that are open. @type {Set<FakeConnection>} */
  connections = new Set();
  /** The messages of each channel: that of number 1 is the first one. `undefined` is a number without a message. @type {Map<string, (Numbered | undefined)[]>} */
  messages = new Map();
  /** Whether connections are let in. */
  accepts = true;
  /** What answers each action. Add those of your own. @type {{ [action: string]: Route }} */
  routes = {
    ping: () => ({ type: "pong" }),
    send: (frame, connection) => this.#send(frame, connection),
    subscribe: (frame, connection) => this.#subscribe(frame, connection),
    unsubscribe: (frame, connection) => this.#unsubscribe(frame, connection),
    list: (frame) => this.#list(frame),
  };
  /** For clients: behaves like the platform's, and connects to this server. @type {typeof globalThis.WebSocket} */
  WebSocket;

  #options;
  #count = 0;
  /** The first ack to each id. @type {Map<string, any>} */
  #acks = new Map();
  /** Up to which number the messages of a channel have expired. @type {Map<string, number>} */
  #expired = new Map();

  /** @param {FakeOptions} [options] */
  constructor({ history = true, replay = REPLAY, latencyMs = 0, announces = () => false, principal = () => undefined } = {}) {
    this.#options = { history, replay, latencyMs, announces, principal };
    const server = this;
    this.WebSocket = /** @type {any} */ (class extends FakeConnection {
      /** @param {string} url @param {string | string[]} [protocols] */
      constructor(url, protocols = []) {
        super(server, url, [protocols].flat());
      }
    });
  }

  /**
   * Sends a message as a backend does.
   *
   * @param {string} channel
   * @param {any} message
   * @returns {any} the frame
   */
  publish(channel, message) {
    return this.#record(channel, { message }, [...this.#membersOf(channel)]);
  }

  /** Cuts connections, all if none is named. @param {Iterable<FakeConnection>} [connections] */
  cut(connections = this.connections) {
    for (const connection of [...connections]) this.end(connection, 1006);
  }

  /** What a channel holds up to a number has expired. @param {string} channel @param {number} seq */
  expire(channel, seq) {
    this.#expired.set(channel, seq);
  }

  /** Posts a message to a member of its channel. Override it to lose, delay or double some. @param {FakeConnection} connection @param {Numbered} message */
  deliver(connection, message) {
    this.post(connection, message);
  }

  /** Posts a frame to a connection. @param {FakeConnection} connection @param {any} frame */
  post(connection, frame) {
    this.later(() => connection.receive(frame));
  }

  /** Does something after the latency. @param {() => void} act */
  later(act) {
    if (this.#options.latencyMs > 0) setTimeout(act, this.#options.latencyMs);
    else queueMicrotask(act);
  }

  /** @internal @param {FakeConnection} connection */
  open(connection) {
    connection.principal = this.#options.principal(connection);
    connection.id = `connection-${++this.#count}`;
    this.connections.add(connection);
  }

  /** @internal @param {FakeConnection} connection @param {string} text */
  receive(connection, text) {
    if (!this.connections.has(connection)) return;
    const { ref, ...frame } = JSON.parse(text);
    const route = this.routes[frame.action] ?? (() => ({ type: "error", code: "unknown_action", message: "There is no such action." }));
    const answer = route(frame, connection);
    if (answer) this.post(connection, answer.type === "pong" ? answer : { ...answer, requestId: `request-${++this.#count}`, ref });
  }

  /** Ends a connection. @param {FakeConnection} connection @param {number} code */
  end(connection, code) {
    if (!this.connections.delete(connection)) return;
    connection.lose(code);
    for (const channel of connection.channels) this.#announce("left", channel, connection);
  }

  /** @param {any} frame @param {FakeConnection} connection */
  #send({ channel = "*", message, echo = true, id }, connection) {
    const key = id && JSON.stringify([connection.principal ?? connection.id, channel, id]);
    const before = this.#acks.get(key);
    if (before && this.#options.history) return { ...before, duplicate: true };
    const to = [...this.#membersOf(channel)].filter((member) => echo || member !== connection);
    const { id: given, seq } = this.#record(channel, { from: connection.id, principal: connection.principal, message }, to);
    const ack = { type: "ack", id: given, seq, delivered: to.length, gone: 0, failed: 0 };
    if (key) this.#acks.set(key, ack);
    return ack;
  }

  /** @param {any} frame @param {FakeConnection} connection */
  #subscribe({ channel, after, since }, connection) {
    if (!isGiven(channel) && !connection.channels.has(channel)) {
      connection.channels.add(channel);
      this.#announce("joined", channel, connection);
    }
    const isReplay = after !== undefined || since !== undefined;
    const subscribed = { type: "subscribed", channel, connectionId: connection.id, principal: connection.principal };
    if (!this.#options.history) return { ...subscribed, ...(isReplay && { replayed: 0, complete: false, missing: true }) };
    const messages = this.messages.get(channel) ?? [];
    const last = messages.length;
    if (!isReplay) return { ...subscribed, seq: last };
    const expired = this.#expired.get(channel) ?? 0;
    const kept = messages.flatMap((message, index) => (message && index >= expired ? [message] : []));
    const asked = kept.filter((message) => (after === undefined ? "sentAt" in message && message.sentAt >= since : Number(message.seq) > after));
    const { replay } = this.#options;
    const page = after === undefined ? asked.slice(-replay) : asked.slice(0, replay);
    for (const message of page) this.post(connection, message);
    const more = after !== undefined && asked.length > page.length;
    const missing = after === undefined ? since === 0 || asked.length > page.length : after < expired || after > last;
    const seq = more ? page.at(-1)?.seq : last;
    return { ...subscribed, seq, replayed: page.length, complete: !more && !missing, ...(more && { more }), ...(missing && { missing }) };
  }

  /** @param {any} frame @param {FakeConnection} connection */
  #unsubscribe({ channel }, connection) {
    if (connection.channels.delete(channel)) this.#announce("left", channel, connection);
    return { type: "unsubscribed", channel };
  }

  /** @param {any} frame */
  #list({ channel, limit = LISTED, after = "0" }) {
    const members = [...this.#membersOf(channel)];
    const end = Number(after) + limit;
    const page = members.slice(Number(after), end).map(({ id, principal, connectedAt }) => ({ connectionId: id, principal, connectedAt }));
    const seq = this.#options.history && after === "0" ? (this.messages.get(channel) ?? []).length : undefined;
    return { type: "members", channel, members: page, seq, ...(end < members.length && { next: String(end) }) };
  }

  /** @param {string} channel @param {any} said @param {FakeConnection[]} to */
  #record(channel, said, to) {
    const message = { type: "message", id: `message-${++this.#count}`, channel, ...said, sentAt: Date.now() };
    return this.#number(channel, message, to);
  }

  /** Gives a frame the next number, and delivers it. @param {string} channel @param {any} frame @param {Iterable<FakeConnection>} to */
  #number(channel, frame, to) {
    const messages = this.messages.get(channel) ?? [];
    if (this.#options.history) {
      frame.seq = messages.length + 1;
      this.messages.set(channel, [...messages, frame]);
    }
    for (const connection of to) this.deliver(connection, frame);
    return frame;
  }

  /** @param {"joined" | "left"} type @param {string} channel @param {FakeConnection} connection */
  #announce(type, channel, { id, principal }) {
    if (!this.#options.announces(channel)) return;
    // A user joins with the first connection, and leaves with the last one.
    const others = [...this.#membersOf(channel)].filter((member) => member.id !== id && member.principal === principal);
    if (principal !== undefined && others.length > 0) return;
    const members = [...this.#membersOf(channel)];
    const frame = { type, channel, connectionId: id, principal, at: Date.now() };
    const { seq } = this.#number(channel, frame, members.filter((member) => member.id !== id));
    const about = members.find((member) => member.id === id);
    if (about && seq !== undefined) this.post(about, { type: "skipped", channel, seq });
  }

  /** @param {string} channel */
  *#membersOf(channel) {
    for (const connection of this.connections) {
      const isMember = channel === "*" || channel === `user:${connection.principal}` || connection.channels.has(channel);
      if (isMember) yield connection;
    }
  }
}

/** A client's end of a connection to a {@link FakeServer}. */
export class FakeConnection {
  /** @type {((event: any) => void) | null} */
  onopen = null;
  /** @type {((event: { data: string }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number }) => void) | null} */
  onclose = null;
  readyState = 0;
  id = "";
  /** @type {string | undefined} */
  principal;
  connectedAt = Date.now();
  /** The channels that it subscribed to. @type {Set<string>} */
  channels = new Set();

  #server;

  /** @param {FakeServer} server @param {string} url @param {string[]} protocols */
  constructor(server, url, protocols) {
    this.#server = server;
    this.url = url;
    this.protocols = protocols;
    server.later(() => {
      if (this.readyState !== 0) return;
      if (!server.accepts) return this.lose(1006);
      this.readyState = 1;
      server.open(this);
      this.onopen?.({});
    });
  }

  /** @param {string} text */
  send(text) {
    if (this.readyState !== 1) return;
    this.#server.later(() => this.#server.receive(this, text));
  }

  close() {
    if (this.readyState > 1) return;
    this.readyState = 2;
    this.#server.later(() => this.#server.end(this, 1000));
  }

  /** @internal @param {any} frame */
  receive(frame) {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** @internal @param {number} code */
  lose(code) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#server.later(() => this.onclose?.({ code }));
  }
}
