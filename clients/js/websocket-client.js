/**
 * A WebSocket client that stays connected: one file without dependencies, for browsers and Node 22 or newer. Copy it.
 *
 * What it does, and what it cannot do, is in the README beside it.
 *
 * @module
 */

// API Gateway closes a connection that is idle for 10 minutes, and any after 2 hours.
const HEARTBEAT_MS = 5 * 60_000;
const PONG_WITHIN_MS = 10_000;
/** After so long without a sign of life, while an answer is waited for, it asks whether the other side is there. */
const SILENCE_MS = 10_000;
const RENEW_MS = { least: 100 * 60_000, most: 110 * 60_000 };
/** For how long a connection is kept beside the one that replaces it: what is on its way still comes. */
const OVERLAP_MS = 5_000;

const RETRY_MS = { least: 500, most: 30_000 };
/** A connection that ends sooner counts as another failure. */
const STABLE_MS = 10_000;
/** After so many refusals in a row it is worth to ask whether anybody is there. */
const REFUSALS = 3;

/** $connect, and every route, has 29 seconds. */
const ANSWER_WITHIN_MS = 35_000;
/** How often a request is sent whose connection ended before the answer came. */
const TRIES = 2;
/** How long a request waits that the server had no time for, before it is sent again: longer each time. */
const AGAIN_MS = { least: 500, most: 15_000 };
/**
 * For how long a request is sent again on the same connection, by the code of the error. `throttled` and
 * `too_many_requests` say that nothing was done.
 *
 * @type {Patience}
 */
const PATIENCE_MS = { throttled: 60_000, too_many_requests: 60_000 };
/**
 * The same for messages. To send one twice under one id does no harm.
 *
 * @type {Patience}
 */
const SEND_PATIENCE_MS = { ...PATIENCE_MS, gateway: 10_000 };
/**
 * The same while subscriptions are restored, after a restart perhaps with all other clients. To subscribe twice does no
 * harm, so a fault is no reason either to give up the connection, and with it the subscriptions that are restored.
 *
 * @type {Patience}
 */
const RESTORE_PATIENCE_MS = { throttled: 5 * 60_000, too_many_requests: 60_000, gateway: 10_000 };
/** How many requests wait at most, and how many are under way at once. */
const QUEUE = 100;
const UNDER_WAY = 32;
/**
 * The bytes of the largest frame that API Gateway takes: it closes the connection for a larger one. A message may have
 * four times as many, but in several frames, and nobody can tell a browser where to split.
 */
export const LARGEST_FRAME = 32_768;
/** The length of the id that a message is sent with. */
export const ID_LENGTH = 32;
/** The length of the reference that each request carries, so that its answer finds it. */
const REF_LENGTH = 8;
const SEEN = 10_000;
/** How long a message that is missing may still come by itself, before it is asked for. */
const MISSING_MS = 500;
/** How many messages wait at most for one that is missing, before it is asked for at once. */
const EARLY = 1_000;

/**
 * @typedef {string | { url: string, protocols?: string | string[] }} Target
 * @typedef {{ id: string, channel?: string, from?: string, principal?: string, message: any, sentAt: number, seq?: number }} Message
 *   `seq`: its number in the channel, where the server keeps a history
 * @typedef {{ id: string, requestId: string, seq?: number, delivered: number, gone: number, failed: number, duplicate?: boolean }} Ack
 * @typedef {{ replayed?: number, complete?: boolean }} Replay how many messages came, and whether they are all
 * @typedef {{ connectionId: string, principal?: string, connectedAt: number }} Member
 * @typedef {{ channel: string, members: Member[], next?: string }} Members
 * @typedef {{ channel: string, connectionId: string, principal?: string, at: number }} Presence
 *
 * @typedef {object} State
 * @property {"connecting" | "open" | "waiting" | "refused" | "closed"} name `waiting`: for the next try, after a
 *   connection was lost or not to be had. `refused`: the server is there, and does not let this client in.
 * @property {number} [retryAt] when the next try is, in milliseconds since the Unix epoch
 *
 * @typedef {object} Events
 * @property {State} state what {@link WebSocketClient.state} has become
 * @property {Message} message a message arrived: each once. In a channel with a history, they come in the order of `seq`,
 *   and none is left out unless a `gap` says so
 * @property {Presence} joined somebody entered a channel, where the server announces it
 * @property {Presence} left somebody left a channel
 * @property {{ channel: string, since?: number }} gap messages of the channel may be missing since then
 * @property {RequestError} error what went wrong and has no promise to tell it
 * @property {any} frame anything else that the server sent: of your own routes, say. What is no JSON object comes as it
 *   came, as a text or a Blob
 */

/** A request that was refused, or given up on. */
export class RequestError extends Error {
  name = "RequestError";

  /**
   * @param {string} code the server's, or `gateway` (a fault of the server), `throttled`, `queue_full`, `message_too_large`,
   *   `unanswered`, `closed`, `url`
   * @param {string} message what was wrong, for people
   * @param {{ [field: string]: any }} [request] what was asked for
   */
  constructor(code, message, request) {
    super(message);
    this.code = code;
    this.request = request;
  }
}

/** The bytes of a request as it is sent. {@link LARGEST_FRAME} is the limit. @param {{ [field: string]: any }} frame */
export function sizeOf(frame) {
  return new TextEncoder().encode(JSON.stringify({ ref: "-".repeat(REF_LENGTH), ...frame })).length;
}

/** A connection that is kept: it comes back, takes up its subscriptions, and sends what waited. */
export class WebSocketClient extends EventTarget {
  /** @type {State} */
  state = { name: "connecting" };

  #target;
  /** @type {Connection | undefined} The one in use. */
  #connection;
  /** @type {Connection | undefined} The one that was replaced, for a moment. */
  #former;
  /** @type {Connection | undefined} The one that is being made. */
  #next;
  #connecting = false;
  /** While subscriptions move to another connection, requests wait. */
  #moving = false;
  #failures = 0;
  #refusals = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until the next connection is made. */
  #timer;

  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** @type {Map<string, Subscription>} Those whose answer is not there yet. */
  #entering = new Map();
  #count = 0;
  /** @type {Waiting[]} In the order of their numbers. */
  #queue = [];
  /** @type {Map<Waiting, Promise<void>>} The requests that wait for their answers. */
  #underWay = new Map();
  /** @type {Set<string>} */
  #seen = new Set();
  #wake = () => {
    if (globalThis.document?.visibilityState !== "hidden") this.wake();
  };

  /**
   * Connects, and stays connected until {@link close}.
   *
   * @param {Target | (() => Target | Promise<Target>)} target the URL, with sub-protocols where there are any. A function is
   *   asked before each connection: a token is fresh then.
   */
  constructor(target) {
    super();
    this.#target = typeof target === "function" ? target : () => target;
    globalThis.addEventListener?.("online", this.#wake);
    globalThis.document?.addEventListener("visibilitychange", this.#wake);
    networkOf(globalThis)?.addEventListener("change", this.#wake);
    this.#connect();
  }

  /**
   * Listens to events of a type; what it returns ends that.
   *
   * @template {keyof Events} K
   * @param {K} type
   * @param {(detail: Events[K]) => void} listener
   * @returns {() => void}
   */
  on(type, listener) {
    const listen = (/** @type {Event} */ event) => listener(/** @type {CustomEvent} */ (event).detail);
    this.addEventListener(type, listen);
    return () => this.removeEventListener(type, listen);
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
   * @param {{ echo?: boolean, id?: string, ordered?: boolean }} [options] `echo: false` leaves this connection out
   * @returns {Promise<Ack>} settled by the server's answer
   */
  send(channel, message, { echo, id = newId(), ordered = true } = {}) {
    const frame = { action: "send", channel, message, echo, id };
    return this.#request(frame, { lane: ordered ? channel : undefined, patience: SEND_PATIENCE_MS });
  }

  /**
   * Enters a channel, and enters it anew with every connection. What was missed in between comes where the server keeps
   * a history; otherwise a `gap` says so. In `*`, and the `user:` channel of one's own, everybody is anyway: who
   * subscribes to them has what was missed there, too.
   *
   * @param {string} channel
   * @param {{ since?: number }} [options] what was said since then comes first, where there is a history: a `sentAt`; 0 for all
   * @returns {Promise<Replay>} with `since`, what came of it; otherwise nothing is in it
   */
  async subscribe(channel, { since } = {}) {
    const { replayed, complete } = await this.#request({ action: "subscribe", channel, since }, { lane: channel });
    return { replayed, complete };
  }

  /** Leaves a channel. @param {string} channel */
  async unsubscribe(channel) {
    this.#forget(channel);
    if (!isGiven(channel)) await this.#request({ action: "unsubscribe", channel }, { lane: channel });
  }

  /**
   * Who is in a channel, a page at a time.
   *
   * @param {string} channel
   * @param {{ limit?: number, after?: string }} [options] `after`: the `next` of the page before
   * @returns {Promise<Members>}
   */
  list(channel, { limit, after } = {}) {
    return this.#request({ action: "list", channel, limit, after });
  }

  /**
   * Sends a request and gives the answer to it. For actions of your own; the others have methods.
   *
   * Your own answers need not tell which request they are for. So one such request is under way at a time.
   *
   * @param {{ [field: string]: any }} frame
   * @param {(frame: any) => boolean} isAnswer
   * @returns {Promise<any>}
   */
  request(frame, isAnswer) {
    return this.#request(frame, { lane: OWN, isAnswer });
  }

  /**
   * Queues a request and gives the answer to it. Requests in one lane are sent one after another.
   *
   * @param {{ [field: string]: any }} frame
   * @param {{ lane?: string | symbol, isAnswer?: IsAnswer, patience?: Patience }} [options] without `isAnswer`, the answer
   *   is known by its `ref`
   * @returns {Promise<any>}
   */
  async #request(frame, { lane, isAnswer, patience = PATIENCE_MS } = {}) {
    if (this.#isClosed()) throw new RequestError("closed", "The client is closed.", frame);
    const size = sizeOf(frame);
    if (size > LARGEST_FRAME) {
      throw new RequestError("message_too_large", `It has ${size} bytes; at most ${LARGEST_FRAME} can be sent.`, frame);
    }
    if (this.#queue.length >= QUEUE) throw new RequestError("queue_full", `${QUEUE} requests are waiting already.`, frame);
    return new Promise((resolve, reject) => {
      this.#queue.push({ number: this.#count++, frame, lane, isAnswer, patience, resolve, reject, tries: 0 });
      this.#work();
    });
  }

  /** Tries to connect at once, instead of later; finds out whether the connection is alive, if there is one. */
  wake() {
    if (this.#isClosed()) return;
    if (this.#connection) this.#connection.ping();
    else this.#connect();
  }

  /** Closes the connection for good. What waits is not sent any more. */
  close() {
    if (this.#isClosed()) return;
    this.#become({ name: "closed" });
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#wake);
    globalThis.document?.removeEventListener("visibilitychange", this.#wake);
    networkOf(globalThis)?.removeEventListener("change", this.#wake);
    for (const channel of [...this.#subscriptions.keys()]) this.#forget(channel);
    for (const connection of [this.#former, this.#connection, this.#next]) connection?.end(1000);
    for (const { frame, reject } of this.#queue.splice(0)) {
      reject(new RequestError("closed", "The client was closed.", frame));
    }
  }

  /** Makes a connection. One that is in use stays so until the new one has all of its subscriptions. */
  async #connect() {
    if (this.#connecting) return;
    this.#connecting = true;
    if (!this.#connection && this.state.name !== "refused") this.#become({ name: "connecting" });
    /** @type {string | undefined} */
    let url;
    try {
      const target = await inTime(this.#target());
      const { url: address, protocols = [] } = typeof target === "string" ? { url: target } : target;
      url = address;
      if (this.#isClosed()) return;
      const connection = new Connection(new WebSocket(url, protocols));
      this.#next = connection;
      connection.onframe = (frame) => this.#hear(frame);
      connection.onlost = () => this.#lose(connection);
      await connection.opened;
      this.#refusals = 0;
      this.#moving = true;
      await Promise.all(this.#underWay.values());
      await this.#restore(connection);
      if (connection.isOver) throw new Lost();
      this.#take(connection);
    } catch (error) {
      if (this.#isClosed()) return;
      if (!(error instanceof Lost)) this.#emit("error", error instanceof RequestError ? error : new RequestError("url", String(error)));
      else if (!this.#next?.openedAt) this.#refusals++;
      this.#next?.end();
      if (this.#next) this.#lose(this.#next);
      await this.#fail(url);
    } finally {
      this.#next = undefined;
      this.#connecting = this.#moving = false;
      this.#work();
    }
  }

  /**
   * Enters again what was entered before.
   *
   * @param {Connection} connection
   * @throws {Lost | RequestError} when the server is at fault: another connection may do better
   */
  async #restore(connection) {
    for (const [channel, subscription] of this.#subscriptions) {
      while (subscription.on !== connection) {
        const { on, since } = subscription;
        const isWhole = await this.#enter(connection, channel, subscription);
        if (on !== subscription.on) continue; // The connection before this one is not there any more.
        if (!isWhole) this.#emit("gap", { channel, since });
        subscription.on = connection;
      }
    }
  }

  /**
   * Enters a channel on a connection, and says whether all that was said meanwhile came.
   *
   * @param {Connection} connection
   * @param {string} channel
   * @param {Subscription} subscription
   * @returns {Promise<boolean>}
   */
  async #enter(connection, channel, subscription) {
    try {
      if (subscription.order.last !== undefined) {
        return await this.#catchUp(connection, channel, subscription, RESTORE_PATIENCE_MS);
      }
      const { seq } = await connection.request({ action: "subscribe", channel }, { patience: RESTORE_PATIENCE_MS });
      if (seq !== undefined) subscription.order.begin(seq);
      return subscription.on !== undefined; // As long as the connection before this one is there, nothing is missed.
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.code === "gateway" || error.code === "throttled") {
        if (isGiven(channel)) return false;
        throw error;
      }
      this.#forget(channel);
      this.#emit("error", new RequestError(error.code, error.message, { action: "subscribe", channel }));
      return true;
    }
  }

  /**
   * Asks for what comes after the last message, page by page, and says whether all of it came.
   *
   * @param {Connection} connection
   * @param {string} channel
   * @param {Subscription} subscription
   * @param {Patience} patience
   * @returns {Promise<boolean>}
   */
  async #catchUp(connection, channel, { order }, patience) {
    let isWhole = true;
    for (;;) {
      const after = /** @type {number} */ (order.last);
      const answer = await connection.request({ action: "subscribe", channel, after }, { patience });
      if (answer.seq === undefined) order.end(); // There is no history any more.
      else if (answer.seq < after) order.begin(answer.seq); // The numbers have begun anew.
      else order.cover(answer.seq);
      if (answer.missing) isWhole = false;
      if (!answer.more) return isWhole && answer.seq !== undefined;
      // What could not be posted is tried again.
      if (answer.seq === after) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS.least));
    }
  }

  /** Waits for a message that is missing, and then asks for it. @param {string} channel @param {Subscription} subscription */
  #watch(channel, subscription) {
    if (!subscription.order.isWaiting) {
      clearTimeout(subscription.timer);
      subscription.timer = undefined;
    } else if (subscription.order.early.size > EARLY) {
      this.#heal(channel, subscription);
    } else {
      subscription.timer ??= setTimeout(() => this.#heal(channel, subscription), MISSING_MS);
    }
  }

  /** Asks for what is missing between messages. @param {string} channel @param {Subscription} subscription */
  async #heal(channel, subscription) {
    clearTimeout(subscription.timer);
    subscription.timer = undefined;
    const connection = this.#connection;
    // On another connection, all that is missing is asked for anyway.
    if (!connection || subscription.on !== connection || subscription.isHealing) return;
    subscription.isHealing = true;
    const { since, order } = subscription;
    try {
      if (!(await this.#catchUp(connection, channel, subscription, PATIENCE_MS))) this.#emit("gap", { channel, since });
    } catch (error) {
      if (!(error instanceof RequestError)) return;
      order.cover(Math.min(...order.early.keys()) - 1);
      this.#emit("gap", { channel, since });
    } finally {
      subscription.isHealing = false;
      if (this.#subscriptions.get(channel) === subscription) this.#watch(channel, subscription);
    }
  }

  /** Uses a connection from now on. @param {Connection} connection */
  #take(connection) {
    const former = (this.#former = this.#connection);
    this.#connection = connection;
    if (former) setTimeout(() => former.end(1000), OVERLAP_MS);
    else this.#become({ name: "open" });
    this.#later(RENEW_MS.least + Math.random() * (RENEW_MS.most - RENEW_MS.least));
  }

  /** A connection is over, in use or not yet. @param {Connection} connection */
  #lose(connection) {
    const isUsed = connection === this.#connection;
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.on !== connection) continue;
      subscription.on = isUsed ? undefined : this.#connection;
    }
    if (!isUsed) return;
    this.#connection = undefined;
    if (Date.now() - (connection.openedAt ?? 0) > STABLE_MS) this.#failures = 0;
    if (this.#connecting) this.#become({ name: "connecting" });
    else this.#fail();
  }

  /** Tries again later. @param {string} [url] at which there was no connection to be had */
  async #fail(url) {
    // A browser does not say whether the server refused or was not there.
    const refused = url !== undefined && this.#refusals >= REFUSALS && (await answers(url));
    if (this.#isClosed()) return;
    const most = refused ? RETRY_MS.most : Math.min(RETRY_MS.most, RETRY_MS.least * 2 ** this.#failures);
    // Jittered, so that the clients of a server that restarts do not all come back at once.
    const delay = most * (0.5 + Math.random() / 2);
    this.#failures++;
    if (!this.#connection) this.#become({ name: refused ? "refused" : "waiting", retryAt: Date.now() + delay });
    this.#later(delay);
  }

  /** @param {number} delay */
  #later(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), delay);
  }

  /** Sends what waits, as much as may be under way at once. */
  #work() {
    const connection = this.#connection;
    if (!connection || this.#moving) return;
    const lanes = new Set([...this.#underWay.keys()].map(({ lane }) => lane));
    const rest = this.#queue.filter((waiting) => {
      const { lane } = waiting;
      const waits = this.#underWay.size >= UNDER_WAY || connection.isHeldBack || (lane !== undefined && lanes.has(lane));
      lanes.add(lane);
      if (!waits) this.#underWay.set(waiting, this.#ask(connection, waiting));
      return waits;
    });
    this.#queue = rest;
  }

  /** @param {Connection} connection @param {Waiting} waiting */
  async #ask(connection, waiting) {
    const { number, frame, isAnswer, patience, resolve, reject } = waiting;
    const { action, channel, since } = frame;
    try {
      if (action === "subscribe" && !isAnswer) this.#entering.set(channel, this.#subscription(channel, since));
      const ref = number.toString(36).padStart(REF_LENGTH, "0");
      const answer = await connection.request(frame, { isAnswer, patience, ref });
      if (!isAnswer) this.#learn(connection, frame, answer);
      resolve(answer);
    } catch (error) {
      const { code, message } = /** @type {Lost | RequestError} */ (error);
      const give = (/** @type {string} */ code, /** @type {string} */ message) => reject(new RequestError(code, message, frame));
      if (error instanceof RequestError) give(error.code, message);
      else if (!(error instanceof Lost)) reject(error);
      else if (this.#isClosed()) give("closed", "The client was closed before the answer came.");
      else if (code === TOO_LARGE && this.#underWay.size === 1) give("message_too_large", "The server takes no message as long as this.");
      else if (++waiting.tries < TRIES) this.#wait(waiting);
      else give("unanswered", "The connection was lost before the answer came, twice. It may have been done.");
    } finally {
      this.#entering.delete(channel);
      this.#underWay.delete(waiting);
      queueMicrotask(() => this.#work());
    }
  }

  /** Puts a request into the queue again, where it was. @param {Waiting} waiting */
  #wait(waiting) {
    const behind = this.#queue.findIndex(({ number }) => number > waiting.number);
    this.#queue.splice(behind < 0 ? this.#queue.length : behind, 0, waiting);
  }

  /** What an answer tells about a channel. @param {Connection} connection @param {any} frame @param {any} answer */
  #learn(connection, { action, channel, since, echo }, answer) {
    if (action === "subscribe") {
      const subscription = /** @type {Subscription} */ (this.#entering.get(channel));
      this.#subscriptions.set(channel, subscription);
      subscription.on = connection;
      subscription.since ??= Date.now();
      if (answer.seq !== undefined) subscription.order.enter(answer.seq, since !== undefined);
      if (answer.more) this.#heal(channel, subscription);
      else this.#watch(channel, subscription);
    } else if (action === "unsubscribe") {
      this.#forget(channel);
    } else if (action === "send" && echo === false && answer.seq !== undefined) {
      this.#number(channel, answer.seq); // It does not come to this connection.
    }
  }

  /** The subscription to a channel, a new one if there is none. @param {string} channel @param {number} [since] */
  #subscription(channel, since) {
    const subscription = this.#subscriptions.get(channel) ?? new Subscription((message) => {
      subscription.since = message.sentAt;
      this.#isDouble(message.id);
      this.#emit("message", message);
    });
    if (since !== undefined) subscription.order.collect();
    return subscription;
  }

  /** A number of a channel is there, with its message or without one. @param {string} channel @param {number} seq @param {Message} [message] */
  #number(channel, seq, message) {
    const subscription = this.#subscriptions.get(channel) ?? this.#entering.get(channel);
    if (!subscription || (subscription.order.last === undefined && !this.#entering.has(channel))) return false;
    subscription.order.hear(seq, message);
    this.#watch(channel, subscription);
    return true;
  }

  /** @param {string} channel */
  #forget(channel) {
    clearTimeout(this.#subscriptions.get(channel)?.timer);
    this.#subscriptions.delete(channel);
  }

  /** @param {any} frame one that answers no request, or what is no frame at all */
  #hear(frame) {
    if (frame.type === "message") {
      if (Number.isInteger(frame.seq) && this.#number(frame.channel, frame.seq, frame)) return;
      const subscription = this.#subscriptions.get(frame.channel);
      if (subscription) subscription.since = frame.sentAt ?? subscription.since;
      if (!this.#isDouble(frame.id)) this.#emit("message", frame);
    } else if (frame.type === "skipped") {
      this.#number(frame.channel, frame.seq);
    } else if (frame.type === "joined" || frame.type === "left") {
      this.#emit(frame.type, frame);
    } else if (isError(frame)) {
      this.#emit("error", refusal(frame));
    } else if (frame.type !== "pong") {
      this.#emit("frame", frame);
    }
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

  #isClosed() {
    return this.state.name === "closed";
  }

  /** @param {State} state */
  #become(state) {
    this.state = state;
    this.#emit("state", state);
  }

  /** @template {keyof Events} K @param {K} type @param {Events[K]} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @typedef {(frame: any) => boolean} IsAnswer
 * @typedef {{ [code: string]: number }} Patience in milliseconds
 * @typedef {{ number: number, frame: any, lane?: string | symbol, isAnswer?: IsAnswer, patience: Patience, resolve: (frame: any) => void, reject: (error: unknown) => void, tries: number }} Waiting
 *
 * @typedef {object} Asked
 * @property {IsAnswer} [isAnswer] without it, the answer is known by its `ref`
 * @property {string} [ref]
 * @property {(frame: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {string} text what was sent
 * @property {number} startedAt
 * @property {boolean} isOut whether an answer is to come, or it waits to be sent again
 * @property {number} refusals how often it was refused for now
 * @property {Patience} patience
 * @property {ReturnType<typeof setTimeout>} [timer] until it is sent again, or given up
 */

/** The lane of the requests of one's own. */
const OWN = Symbol("own");

/** The messages of a channel in the order of their numbers: what was given to the listeners, and what came too early. */
class Order {
  /** @type {number | undefined} All up to this number was given. Without it, there are no numbers, or the first answer is to come. */
  last;
  /** @type {Map<number, Message | undefined>} What came before something that it follows; nothing where a number has no message for this client. */
  early = new Map();
  /** All from this number on was given. */
  #first = 0;
  /** @type {Map<number, Message | undefined> | undefined} Older messages that were asked for. */
  #older;
  #give;

  /** @param {(message: Message) => void} give */
  constructor(give) {
    this.#give = give;
  }

  /** Whether something is missing. */
  get isWaiting() {
    return this.last !== undefined && this.early.size > 0;
  }

  /** @param {number} seq @param {Message} [message] none where the number has no message for this client */
  hear(seq, message) {
    if (this.last === undefined || seq > this.last) this.early.set(seq, message);
    else if (seq < this.#first) this.#older?.set(seq, message);
    this.#giveNext();
  }

  /** Older messages are asked for: they are kept until the answer comes. */
  collect() {
    this.#older = new Map();
  }

  /** The answer to a subscription came. @param {number} seq @param {boolean} withOlder whether older messages were asked for */
  enter(seq, withOlder) {
    if (this.last === undefined && withOlder) {
      const first = Math.min(seq + 1, ...this.early.keys());
      this.last = first - 1;
      this.#first = first;
      this.cover(seq);
    } else if (this.last === undefined) {
      this.begin(seq);
    } else if (this.#older?.size) {
      this.#first = Math.min(...this.#older.keys());
      this.#giveAll(this.#older);
    }
    this.#older = undefined;
  }

  /** Begins after a number: what comes up to it is not given. @param {number} seq */
  begin(seq) {
    this.last = seq;
    this.#first = seq + 1;
    for (const early of this.early.keys()) if (early <= seq) this.early.delete(early);
    this.#giveNext();
  }

  /** All that there is up to a number has come: what is missing there does not exist. @param {number} seq */
  cover(seq) {
    const covered = new Map([...this.early].filter(([early]) => early <= seq));
    for (const early of covered.keys()) this.early.delete(early);
    this.last = Math.max(this.last ?? 0, seq);
    this.#giveAll(covered);
    this.#giveNext();
  }

  /** There are no numbers any more. */
  end() {
    const { early } = this;
    this.last = undefined;
    this.early = new Map();
    this.#giveAll(early);
  }

  #giveNext() {
    while (this.last !== undefined && this.early.has(this.last + 1)) {
      const message = this.early.get(++this.last);
      this.early.delete(this.last);
      if (message) this.#give(message);
    }
  }

  /** @param {Map<number, Message | undefined>} messages */
  #giveAll(messages) {
    for (const [, message] of [...messages].sort(([a], [b]) => a - b)) if (message) this.#give(message);
  }
}

/** A channel that the client is in. */
class Subscription {
  /** @type {Connection | undefined} The connection that is in the channel. */
  on;
  /** @type {number | undefined} When the last message was sent, or, before the first one, when it was entered. */
  since;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until what is missing is asked for. */
  timer;
  isHealing = false;

  /** @param {(message: Message) => void} give */
  constructor(give) {
    this.order = new Order(give);
  }
}

/** What API Gateway says where there are more requests than the stage, the route or the account allows. */
const THROTTLED = /^(too many requests|limit exceeded|rate exceeded)/i;

/** The close code of a connection over which a frame or a message came that was too large. */
const TOO_LARGE = 1009;

/** The connection ended, or never opened. */
class Lost extends Error {
  /** @param {number} [code] the close code, where there is one */
  constructor(code) {
    super("The connection is lost.");
    this.code = code;
  }
}

/** One connection: a socket, its heartbeat, and the requests that are under way on it. */
class Connection {
  /** @type {(frame: any) => void} */
  onframe = () => {};
  onlost = () => {};
  /** @type {number | undefined} */
  openedAt;
  isOver = false;

  #socket;
  /** @type {{ resolve: () => void, reject: (error: Error) => void } | undefined} Who waits for it to open. */
  #opening;
  /** @type {Set<Asked>} In the order in which they were asked. */
  #asked = new Set();
  #refs = 0;
  /** @type {RequestError[]} Errors of API Gateway's own, which do not tell the request that they are for. */
  #unclear = [];
  #heardAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeat;
  /** @type {ReturnType<typeof setInterval> | undefined} While an answer is waited for. */
  #watch;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until it is given up as dead: while it opens, or a ping is out. */
  #deadline;

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve, reject) => {
      this.#expectWithin(ANSWER_WITHIN_MS);
      this.#opening = { resolve, reject };
      socket.onopen = () => {
        this.openedAt = Date.now();
        this.#heartbeat = setInterval(() => this.ping(), HEARTBEAT_MS);
        this.#isThere();
        this.#opening = undefined;
        resolve();
      };
    });
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => this.#lose(code);
  }

  /** Whether a request waits because the server had no time for it: the next ones had better wait, too. */
  get isHeldBack() {
    return [...this.#asked].some(({ refusals }) => refusals > 0);
  }

  /**
   * @param {any} frame
   * @param {{ isAnswer?: IsAnswer, patience?: Patience, ref?: string }} [options]
   * @returns {Promise<any>}
   */
  request(frame, { isAnswer, patience = PATIENCE_MS, ref = `c${this.#refs++}` } = {}) {
    return new Promise((resolve, reject) => {
      if (this.isOver) return reject(new Lost());
      const text = JSON.stringify(isAnswer ? frame : { ...frame, ref });
      /** @type {Asked} */
      const asked = { isAnswer, ref: isAnswer ? undefined : ref, resolve, reject, text, startedAt: Date.now(), isOut: false, refusals: 0, patience };
      this.#asked.add(asked);
      this.#ask(asked);
    });
  }

  /** @param {Asked} asked */
  #ask(asked) {
    asked.isOut = true;
    asked.timer = setTimeout(() => this.#lose(), ANSWER_WITHIN_MS);
    this.#watch ??= setInterval(() => this.#look(), SILENCE_MS);
    this.#socket.send(asked.text);
  }

  /** While an answer is waited for and nothing comes, asks whether the other side is there. */
  #look() {
    if (this.#asked.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
    } else if (Date.now() - this.#heardAt >= SILENCE_MS && [...this.#asked].some(({ isOut }) => isOut)) {
      this.#ping();
    }
  }

  /** Whether the request is sent again in a while, though this error came. @param {Asked} asked @param {RequestError} error */
  #asksAgain(asked, { code }) {
    // Jittered, as the others that are refused wait, too.
    const delay = Math.min(AGAIN_MS.most, AGAIN_MS.least * 2 ** asked.refusals) * (0.5 + Math.random() / 2);
    if (Date.now() + delay - asked.startedAt > (asked.patience[code] ?? 0)) return false;
    asked.refusals++;
    asked.isOut = false;
    clearTimeout(asked.timer);
    asked.timer = setTimeout(() => this.#ask(asked), delay);
    return true;
  }

  /** Makes sure that the other side is there; a request that is under way does so as well. */
  ping() {
    if (this.#asked.size === 0 && this.openedAt) this.#ping();
  }

  #ping() {
    if (this.#deadline) return;
    this.#expectWithin(PONG_WITHIN_MS);
    this.#socket.send(JSON.stringify({ action: "ping" }));
  }

  /** Ends it from our side: nothing more is heard. @param {number} [code] */
  end(code) {
    for (const { reject } of this.#stop()) reject(new Lost());
    this.#socket.close(code);
  }

  /** @param {number} [code] */
  #lose(code) {
    const asked = this.#stop();
    this.#socket.close();
    this.onlost();
    for (const { reject } of asked) reject(new Lost(code));
  }

  /** Stops all that goes on, and returns whoever waits for something. */
  #stop() {
    this.isOver = true;
    const waiting = [...this.#asked, ...(this.#opening ? [this.#opening] : [])];
    for (const { timer } of this.#asked) clearTimeout(timer);
    this.#asked.clear();
    this.#opening = undefined;
    clearTimeout(this.#deadline);
    clearInterval(this.#heartbeat);
    clearInterval(this.#watch);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    return waiting;
  }

  /** @param {any} data a text, or a Blob */
  #receive(data) {
    this.#isThere();
    const frame = parsed(data);
    if (frame === undefined) return this.onframe(data);
    const out = [...this.#asked].filter(({ isOut }) => isOut);
    const isOfOwn = typeof frame.ref !== "string" && (isError(frame) ? frame.type === "error" : true);
    const asked = out.find(({ ref, isAnswer }) => (isAnswer ? isOfOwn && (frame.type === "error" || isAnswer(frame)) : ref === frame.ref));
    if (asked) {
      if (isError(frame) && !asked.isAnswer?.(frame)) this.#refuse(asked, refusal(frame));
      else this.#settle(asked).resolve(frame);
      this.#sort();
    } else if (frame.type === undefined && isError(frame) && out.length > 0) {
      this.#unclear.push(refusal(frame));
      this.#sort();
    } else {
      this.onframe(frame);
    }
  }

  /**
   * Finds the requests that errors of API Gateway's own are for: it answers each request once. So once as many requests
   * wait for an answer as there are such errors, they are for these.
   */
  #sort() {
    const out = [...this.#asked].filter(({ isOut }) => isOut);
    if (this.#unclear.length === 0 || out.length > this.#unclear.length) return;
    const errors = this.#unclear.splice(0);
    const error = errors.find(({ code }) => code !== "throttled") ?? errors[0];
    for (const asked of out) this.#refuse(asked, error);
  }

  /** @param {Asked} asked @param {RequestError} error */
  #refuse(asked, error) {
    if (!this.#asksAgain(asked, error)) this.#settle(asked).reject(error);
  }

  /** Nobody waits for the answer any more. @param {Asked} asked */
  #settle(asked) {
    clearTimeout(asked.timer);
    this.#asked.delete(asked);
    return asked;
  }

  /** The other side gave a sign of life. */
  #isThere() {
    this.#heardAt = Date.now();
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  /** @param {number} delay */
  #expectWithin(delay) {
    this.#deadline = setTimeout(() => this.#lose(), delay);
  }
}

/**
 * What a target gives. One that never does would end all tries to connect.
 *
 * @template T
 * @param {T | Promise<T>} target
 * @returns {Promise<T>}
 */
async function inTime(target) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {Promise<never>} */
  const late = new Promise((_, reject) => {
    const error = new RequestError("url", `The target gave no URL within ${ANSWER_WITHIN_MS / 1_000} s.`);
    timer = setTimeout(reject, ANSWER_WITHIN_MS, error);
  });
  try {
    return await Promise.race([target, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** An id that nobody else has. @returns {string} {@link ID_LENGTH} characters */
function newId() {
  // Not `randomUUID`: pages over plain HTTP have none.
  const bytes = crypto.getRandomValues(new Uint8Array(ID_LENGTH / 2));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether every connection is in the channel, or every connection of a user, without a subscription. @param {string} channel */
function isGiven(channel) {
  return channel === "*" || channel.startsWith("user:");
}

/** What tells that the network is another one, in browsers that have it. @param {any} scope @returns {EventTarget | undefined} */
function networkOf({ navigator }) {
  return navigator?.connection;
}

/** A frame, if it is a JSON object. @param {any} data */
function parsed(data) {
  try {
    const frame = JSON.parse(data);
    return frame instanceof Object && !Array.isArray(frame) ? frame : undefined;
  } catch {
    return undefined;
  }
}

/**
 * API Gateway's own errors have no type, but the ids of the connection and the request. A push of somebody's backend may
 * have a text as its `message`, too.
 *
 * @param {any} frame
 */
function isError({ type, message, connectionId, requestId }) {
  if (type !== undefined) return type === "error";
  return [message, connectionId, requestId].every((field) => typeof field === "string");
}

/** @param {any} frame */
function refusal({ type, code = "gateway", message, requestId }) {
  if (type === "error") return new RequestError(code, message);
  return new RequestError(THROTTLED.test(message) ? "throttled" : "gateway", `${message} (request ${requestId})`);
}

/** Whether anybody answers there at all. @param {string} url */
async function answers(url) {
  try {
    const { origin, pathname } = new URL(url.replace(/^ws/, "http"));
    await fetch(origin + pathname, { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(PONG_WITHIN_MS) });
    return true;
  } catch {
    return false;
  }
}
