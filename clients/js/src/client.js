import { Channel } from "./channel.js";
import { REPEAT_PATIENCE_MS } from "./connection.js";
import { Emitter } from "./emitter.js";
import { RequestError, isError, refusal } from "./errors.js";
import { isGiven, newId } from "./frames.js";
import { Link } from "./link.js";
import { Requests } from "./requests.js";
import { Subscriptions } from "./subscriptions.js";
/** @import { IsAnswer } from "./connection.js" */
/** @import { Ack, Announcement, Identity, Members, Message, Numbered, Replay } from "./frames.js" */
/** @import { State, Target } from "./link.js" */

const SEEN = 10_000;
/** The lane of the requests of one's own. */
const OWN = Symbol("own");

/**
 * @typedef {object} Events
 * @property {State} state what {@link WebSocketClient.state} has become
 * @property {Identity} identity what {@link WebSocketClient.identity} has become: each connection has another id
 * @property {Message} message a message arrived: each once. In a channel with a history, they come in the order of `seq`,
 *   and none is left out unless a `gap` says so
 * @property {Announcement} joined somebody entered a channel, where the server announces it
 * @property {Announcement} left somebody left a channel
 * @property {{ channel: string, since?: number }} gap messages of the channel may be missing since then
 * @property {{ [field: string]: any }} full a request was refused, as too many wait already
 * @property {RequestError} error what went wrong and has no promise to tell it
 * @property {any} frame anything else that the server sent: of your own routes, say. What is no JSON object comes as it
 *   came, as a text or a Blob
 *
 * @typedef {object} Options
 * @property {number} [queueLimit] how many requests wait at most, for a connection or for those before them: 100
 * @property {number} [answerWithinMs] how long an answer, or a connection, may take, before the connection is given up: 35,000.
 *   API Gateway gives functions 29 s
 * @property {{ least?: number, most?: number }} [retryMs] how long it waits before it connects again, twice as long each time:
 *   500 to 30,000, of which up to half is taken away at random
 * @property {typeof globalThis.WebSocket} [WebSocket] another implementation than that of the platform
 */

/**
 * A connection that is kept: it comes back, takes up its subscriptions, and sends what waited.
 *
 * @extends {Emitter<Events>}
 */
export class WebSocketClient extends Emitter {
  /** @type {Identity | undefined} Who this is, once the server told it: with the first subscription. */
  identity;

  #link;
  #requests;
  #subscriptions;
  /** @type {Map<string, Channel>} */
  #channels = new Map();
  /** @type {Set<string>} The ids of the last messages. */
  #seen = new Set();

  /**
   * Connects, and stays connected until {@link close}.
   *
   * @param {Target | (() => Target | Promise<Target>)} target the URL, with sub-protocols where there are any. A function is
   *   asked before each connection: a token is fresh then.
   * @param {Options} [options]
   * @throws {TypeError} where there is no WebSocket
   */
  constructor(target, { queueLimit = 100, answerWithinMs = 35_000, retryMs = {}, WebSocket = globalThis.WebSocket } = {}) {
    super();
    if (!WebSocket) throw new TypeError("There is no WebSocket here: give one as an option.");
    const requests = (this.#requests = new Requests(queueLimit, (request) => this.emit("full", request)));
    const subscriptions = (this.#subscriptions = new Subscriptions({
      give: (message) => this.#give(message),
      identify: (answer) => this.#identify(answer),
      miss: (channel, since) => this.#emitTo(channel, "gap", { channel, since }),
      isKnown: (id) => this.#seen.has(id),
      tell: (error) => this.emit("error", error),
    }));
    const options = { answerWithinMs, retryMs: { least: 500, most: 30_000, ...retryMs }, WebSocket };
    this.#link = new Link(target, options, {
      become: (state) => this.emit("state", state),
      tell: (error) => this.emit("error", error),
      hear: (frame) => this.#hear(frame),
      pause: () => requests.pause(),
      use: (connection) => requests.use(connection),
      restore: (connection) => subscriptions.restore(connection),
      lose: (lost, used) => subscriptions.lose(lost, used),
    });
    this.#link.connect();
  }

  /** @returns {State} */
  get state() {
    return this.#link.state;
  }

  /** A channel as an object of its own, always the same for a name. @param {string} name */
  channel(name) {
    const channel = this.#channels.get(name) ?? new Channel(this, name);
    this.#channels.set(name, channel);
    return channel;
  }

  /**
   * Sends a message to a channel, `*` being everyone, as soon as there is a connection.
   *
   * It has an id. If the answer is lost, it is sent again under the same id: for a client that the server knows by a
   * principal, and where it keeps a history, it is one message still. So it is with an `id` of your own that you send again.
   *
   * Messages to one channel are sent one after another, so that they arrive in this order. With `ordered: false`, a
   * message does not wait for the one before.
   *
   * @param {string} channel
   * @param {any} message any JSON
   * @param {{ echo?: boolean, id?: string, ordered?: boolean, signal?: AbortSignal }} [options] `echo: false` leaves this
   *   connection out
   * @returns {Promise<Ack>} settled by the server's answer
   */
  send(channel, message, { echo, id = newId(), ordered = true, signal } = {}) {
    return this.#requests.add({ action: "send", channel, message, echo, id }, {
      lane: ordered ? channel : undefined,
      patience: REPEAT_PATIENCE_MS, // Under one id.
      signal,
      onanswer: (_, { seq }) => {
        // It does not come to this connection.
        if (echo === false && seq !== undefined) this.#subscriptions.hear(channel, seq);
      },
    });
  }

  /**
   * Enters a channel, and enters it anew with every connection. What was missed in between comes where the server keeps
   * a history; otherwise a `gap` says so. In `*`, and the `user:` channel of one's own, everybody is anyway: who
   * subscribes to them has what was missed there, too.
   *
   * @param {string} channel
   * @param {{ since?: number, signal?: AbortSignal }} [options] what was said since then comes first, where there is a
   *   history: a `sentAt`; 0 for all
   * @returns {Promise<Replay>} with `since`, what came of it; otherwise nothing is in it
   */
  async subscribe(channel, { since, signal } = {}) {
    const subscriptions = this.#subscriptions;
    const { replayed, complete } = await this.#requests.add({ action: "subscribe", channel, since }, {
      lane: channel,
      signal,
      isRepeatable: true,
      onsend: () => subscriptions.begin(channel, since),
      onanswer: (connection, answer) => subscriptions.enter(connection, channel, since !== undefined, answer),
      onend: () => subscriptions.end(channel),
    });
    return { replayed, complete };
  }

  /** Leaves a channel. @param {string} channel @param {{ signal?: AbortSignal }} [options] */
  async unsubscribe(channel, { signal } = {}) {
    const subscriptions = this.#subscriptions;
    subscriptions.forget(channel);
    if (isGiven(channel)) return;
    const onanswer = () => subscriptions.forget(channel);
    await this.#requests.add({ action: "unsubscribe", channel }, { lane: channel, signal, isRepeatable: true, onanswer });
  }

  /**
   * Who is in a channel, a page at a time.
   *
   * @param {string} channel
   * @param {{ limit?: number, after?: string, signal?: AbortSignal }} [options] `after`: the `next` of the page before
   * @returns {Promise<Members>}
   */
  list(channel, { limit, after, signal } = {}) {
    return this.#requests.add({ action: "list", channel, limit, after }, { signal, isRepeatable: true });
  }

  /**
   * Sends a request and gives the answer to it. For actions of your own; the others have methods.
   *
   * Your own answers need not tell which request they are for. So one such request is under way at a time.
   *
   * @param {{ [field: string]: any }} frame
   * @param {IsAnswer} isAnswer
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<any>}
   */
  request(frame, isAnswer, { signal } = {}) {
    return this.#requests.add(frame, { lane: OWN, isAnswer, signal });
  }

  /** Tries to connect at once, instead of later; finds out whether the connection is alive, if there is one. */
  wake() {
    this.#link.wake();
  }

  /**
   * Closes the connection for good. What waits is not sent any more, unless there is time to drain.
   *
   * @param {{ drainMs?: number }} [options] how long requests that were accepted may still take; no other one is accepted
   */
  async close({ drainMs = 0 } = {}) {
    if (this.#link.isClosed) return;
    this.#requests.refuse();
    if (drainMs > 0) await this.#requests.drained(drainMs);
    if (this.#link.isClosed) return;
    this.#subscriptions.clear();
    this.#requests.close();
    this.#link.close();
  }

  /** @param {any} frame one that answers no request, or what is no frame at all */
  #hear(frame) {
    const isAnnouncement = frame.type === "joined" || frame.type === "left";
    if (frame.type === "message" || isAnnouncement) {
      if (this.#subscriptions.hear(frame.channel, frame.seq, frame)) return;
    }
    if (frame.type === "message") {
      this.#subscriptions.hearUnnumbered(frame.channel, frame.sentAt);
      if (!this.#isDouble(frame.id)) this.#emitTo(frame.channel, "message", frame);
    } else if (frame.type === "skipped") {
      this.#subscriptions.hear(frame.channel, frame.seq);
    } else if (isAnnouncement) {
      this.#emitTo(frame.channel, frame.type, frame);
    } else if (isError(frame)) {
      this.emit("error", refusal(frame));
    } else if (frame.type !== "pong") {
      this.emit("frame", frame);
    }
  }

  /** @param {Identity} identity also with other fields */
  #identify({ connectionId, principal }) {
    if (connectionId === undefined || connectionId === this.identity?.connectionId) return;
    this.identity = { connectionId, principal };
    this.emit("identity", this.identity);
  }

  /** A message or an announcement in its turn. @param {Numbered} message */
  #give(message) {
    if ("id" in message) this.#isDouble(message.id);
    this.#emitTo(message.channel, message.type ?? "message", message);
  }

  /** Whether it was heard before: delivery is at least once. @param {any} id without one, nobody can tell */
  #isDouble(id) {
    if (typeof id !== "string") return false;
    if (this.#seen.has(id)) return true;
    this.#seen.add(id);
    const [oldest] = this.#seen;
    if (this.#seen.size > SEEN) this.#seen.delete(oldest);
    return false;
  }

  /** Tells the channel's listeners, and then those of the client. @type {(channel: string | undefined, type: any, detail: any) => void} */
  #emitTo(channel, type, detail) {
    this.#channels.get(channel ?? "")?.emit(type, detail);
    this.emit(type, detail);
  }
}
