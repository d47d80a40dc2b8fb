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
 * The same while subscriptions are restored, after a restart perhaps with all other clients. To subscribe twice does no
 * harm, so a fault is no reason either to give up the connection, and with it the subscriptions that are restored.
 *
 * @type {Patience}
 */
const RESTORE_PATIENCE_MS = { throttled: 5 * 60_000, too_many_requests: 60_000, gateway: 10_000 };
const QUEUE = 100;
/**
 * The bytes of the largest frame that API Gateway takes: it closes the connection for a larger one. A message may have
 * four times as many, but in several frames, and nobody can tell a browser where to split.
 */
export const LARGEST_FRAME = 32_768;
/** The length of the id that a message is sent with. */
export const ID_LENGTH = 32;
const SEEN = 10_000;
/** How often what was missed in a channel is asked for at most: in a busy one, there is always something new. */
const REPLAYS = 5;

/**
 * @typedef {string | { url: string, protocols?: string | string[] }} Target
 * @typedef {{ id: string, channel?: string, from?: string, principal?: string, message: any, sentAt: number }} Message
 * @typedef {{ id: string, requestId: string, delivered: number, gone: number, failed: number, duplicate?: boolean }} Ack
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
 * @property {Message} message somebody said something; each id comes once
 * @property {Presence} joined somebody entered a channel, where the server announces it
 * @property {Presence} left somebody left a channel
 * @property {{ channel: string, since?: number }} gap what was said in the channel while the connection was down may be missing
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
  return new TextEncoder().encode(JSON.stringify(frame)).length;
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
  /** @type {Waiting[]} */
  #queue = [];
  /** @type {Promise<void> | undefined} The request that waits for its answer. */
  #underWay;
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
   * principal, and where it keeps a history, it is one message still.
   *
   * @param {string} channel
   * @param {any} message any JSON
   * @param {{ echo?: boolean }} [options] `echo: false` leaves this connection out
   * @returns {Promise<Ack>} settled by the server's answer
   */
  send(channel, message, { echo } = {}) {
    return this.request({ action: "send", channel, message, echo, id: newId() }, (frame) => frame.type === "ack");
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
    if (since === undefined && isGiven(channel)) {
      this.#entered(channel);
      return {};
    }
    const { replayed, complete } = await this.request(...subscribing(channel, since));
    return { replayed, complete };
  }

  /** Leaves a channel. @param {string} channel */
  async unsubscribe(channel) {
    this.#subscriptions.delete(channel);
    if (!isGiven(channel)) await this.request({ action: "unsubscribe", channel }, answer("unsubscribed", channel));
  }

  /**
   * Who is in a channel, a page at a time.
   *
   * @param {string} channel
   * @param {{ limit?: number, after?: string }} [options] `after`: the `next` of the page before
   * @returns {Promise<Members>}
   */
  list(channel, { limit, after } = {}) {
    return this.request({ action: "list", channel, limit, after }, answer("members", channel));
  }

  /**
   * Sends a request and gives the answer to it. For actions of your own; the others have methods.
   *
   * Answers do not tell which request they are for. So one request is under way at a time, and the others wait.
   *
   * @param {{ [field: string]: any }} frame
   * @param {(frame: any) => boolean} isAnswer
   * @returns {Promise<any>}
   */
  async request(frame, isAnswer) {
    if (this.#isClosed()) throw new RequestError("closed", "The client is closed.", frame);
    const size = sizeOf(frame);
    if (size > LARGEST_FRAME) {
      throw new RequestError("message_too_large", `It has ${size} bytes; at most ${LARGEST_FRAME} can be sent.`, frame);
    }
    if (this.#queue.length >= QUEUE) throw new RequestError("queue_full", `${QUEUE} requests are waiting already.`, frame);
    return new Promise((resolve, reject) => {
      this.#queue.push({ frame, isAnswer, resolve, reject, tries: 0 });
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
      await this.#underWay;
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
        // As long as the connection before this one is there, nothing is missed.
        const { on, since } = subscription;
        const complete = await this.#enter(connection, channel, on ? undefined : since);
        if (on !== subscription.on) continue; // It is not there any more.
        if (!complete) this.#emit("gap", { channel, since });
        subscription.on = connection;
        subscription.since ??= Date.now();
      }
    }
  }

  /**
   * Enters a channel on a connection, and says whether all that was said since then came.
   *
   * @param {Connection} connection
   * @param {string} channel
   * @param {number | undefined} since
   * @returns {Promise<boolean>}
   */
  async #enter(connection, channel, since) {
    if (since === undefined && isGiven(channel)) return true;
    try {
      if (since !== undefined) return await this.#catchUp(connection, channel, since);
      await connection.request(...subscribing(channel, since), RESTORE_PATIENCE_MS);
      return true;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if ((error.code === "gateway" || error.code === "throttled") && !isGiven(channel)) throw error;
      if (since !== undefined) {
        await this.#enter(connection, channel, undefined); // A server without a history may not know the field.
        return false;
      }
      this.#subscriptions.delete(channel);
      this.#emit("error", new RequestError(error.code, error.message, { action: "subscribe", channel }));
      return true;
    }
  }

  /**
   * Enters a channel with what was missed there, and says whether all of it came.
   *
   * A replay that ended early is continued from where it ended. It may also lack the beginning, since the history replays
   * the newest messages; then no later replay brings what is missing, though it calls itself complete.
   *
   * @param {Connection} connection
   * @param {string} channel
   * @param {number} since
   * @returns {Promise<boolean>}
   */
  async #catchUp(connection, channel, since) {
    let hasBeginning = true;
    for (let replay = 1; replay <= REPLAYS; replay++) {
      /** @type {number[]} */
      const times = [];
      const [frame, isAnswer] = subscribing(channel, since);
      const { replayed, complete } = await connection.request(frame, (answer) => {
        if (answer.type === "message" && answer.channel === channel) times.push(answer.sentAt);
        return isAnswer(answer);
      }, isGiven(channel) ? PATIENCE_MS : RESTORE_PATIENCE_MS);
      if (complete === true && replay === 1) return true;
      // What is said meanwhile comes in between, and looks the same. So as many as were replayed are counted from the
      // earliest on: that is where the replay ended, or earlier, and never beyond what it left out.
      times.sort((a, b) => a - b);
      const reached = times[replayed - 1];
      if (!(reached > since)) return false;
      if (complete === true) return hasBeginning;
      hasBeginning &&= times[0] <= since; // The message that was the last one before is replayed, too.
      since = reached;
    }
    return false;
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
      subscription.since = subscription.latest ?? subscription.since;
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

  /** Sends what waits, one request after the other. */
  #work() {
    if (!this.#connection || this.#moving || this.#underWay) return;
    const waiting = this.#queue.shift();
    if (!waiting) return;
    this.#underWay = this.#ask(this.#connection, waiting).then(() => {
      this.#underWay = undefined;
      this.#work();
    });
  }

  /** @param {Connection} connection @param {Waiting} waiting */
  async #ask(connection, waiting) {
    const { frame, isAnswer, resolve, reject } = waiting;
    try {
      const answer = await connection.request(frame, isAnswer);
      if (answer.type === "subscribed") this.#entered(answer.channel);
      if (answer.type === "unsubscribed") this.#subscriptions.delete(answer.channel);
      resolve(answer);
    } catch (error) {
      const { code, message } = /** @type {Lost | RequestError} */ (error);
      const give = (/** @type {string} */ code, /** @type {string} */ message) => reject(new RequestError(code, message, frame));
      if (error instanceof RequestError) give(error.code, message);
      else if (this.#isClosed()) give("closed", "The client was closed before the answer came.");
      else if (code === TOO_LARGE) give("message_too_large", "The server takes no message as long as this.");
      else if (++waiting.tries < TRIES) this.#queue.unshift(waiting);
      else give("unanswered", "The connection was lost before the answer came, twice. It may have been done.");
    }
  }

  /** @param {string} channel */
  #entered(channel) {
    if (this.#subscriptions.has(channel)) return;
    const on = this.#connection;
    this.#subscriptions.set(channel, { on, since: on && Date.now() });
  }

  /** @param {any} frame one that answers no request, or what is no frame at all */
  #hear(frame) {
    if (frame.type === "message") {
      const subscription = this.#subscriptions.get(frame.channel);
      if (subscription && frame.sentAt > (subscription.latest ?? 0)) subscription.latest = frame.sentAt;
      if (!this.#isDouble(frame.id)) this.#emit("message", frame);
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
 * @typedef {{ on?: Connection, since?: number, latest?: number }} Subscription `on`: the connection that is in the channel.
 *   `since`: from where to go on with the next one. `latest`: the `sentAt` of the last message heard.
 * @typedef {(frame: any) => boolean} IsAnswer
 * @typedef {{ [code: string]: number }} Patience in milliseconds
 * @typedef {{ frame: any, isAnswer: IsAnswer, resolve: (frame: any) => void, reject: (error: Error) => void, tries: number }} Waiting
 *
 * @typedef {object} Asked
 * @property {IsAnswer} isAnswer
 * @property {(frame: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {string} text what was sent
 * @property {number} startedAt
 * @property {number} refusals how often it was refused for now
 * @property {Patience} patience
 */

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

/** One connection: a socket, its heartbeat, and the one request that is under way on it. */
class Connection {
  /** @type {(frame: any) => void} */
  onframe = () => {};
  onlost = () => {};
  /** @type {number | undefined} */
  openedAt;
  isOver = false;

  #socket;
  /** @type {Asked | undefined} */
  #asked;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeat;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until it is given up as dead. */
  #deadline;

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve, reject) => {
      this.#expectWithin(ANSWER_WITHIN_MS);
      this.#asked = { isAnswer: () => false, resolve, reject, text: "", startedAt: Date.now(), refusals: 0, patience: {} };
      socket.onopen = () => {
        this.openedAt = Date.now();
        this.#heartbeat = setInterval(() => this.ping(), HEARTBEAT_MS);
        this.#settle();
        resolve();
      };
    });
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => this.#lose(code);
  }

  /**
   * @param {any} frame
   * @param {IsAnswer} isAnswer
   * @param {Patience} [patience]
   * @returns {Promise<any>}
   */
  request(frame, isAnswer, patience = PATIENCE_MS) {
    return new Promise((resolve, reject) => {
      if (this.isOver) return reject(new Lost());
      const text = JSON.stringify(frame);
      this.#asked = { isAnswer, resolve, reject, text, startedAt: Date.now(), refusals: 0, patience };
      this.#ask(text);
    });
  }

  /** @param {string} text */
  #ask(text) {
    this.#expectWithin(ANSWER_WITHIN_MS);
    this.#socket.send(text);
  }

  /** Whether the request is sent again in a while, though this error came. @param {RequestError} error */
  #asksAgain({ code }) {
    const { text, startedAt, refusals, patience } = /** @type {Asked} */ (this.#asked);
    // Jittered, as the others that are refused wait, too.
    const delay = Math.min(AGAIN_MS.most, AGAIN_MS.least * 2 ** refusals) * (0.5 + Math.random() / 2);
    if (Date.now() + delay - startedAt > (patience[code] ?? 0)) return false;
    /** @type {Asked} */ (this.#asked).refusals++;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#ask(text), delay);
    return true;
  }

  /** Makes sure that the other side is there; a request that is under way does so as well. */
  ping() {
    if (this.#asked || !this.openedAt) return;
    this.#expectWithin(PONG_WITHIN_MS);
    this.#socket.send(JSON.stringify({ action: "ping" }));
  }

  /** Ends it from our side: nothing more is heard. @param {number} [code] */
  end(code) {
    this.isOver = true;
    this.#settle()?.reject(new Lost());
    clearInterval(this.#heartbeat);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(code);
  }

  /** @param {number} [code] */
  #lose(code) {
    const asked = this.#settle();
    this.end();
    this.onlost();
    asked?.reject(new Lost(code));
  }

  /** @param {any} data a text, or a Blob */
  #receive(data) {
    const { isAnswer } = this.#asked ?? {};
    if (!isAnswer) clearTimeout(this.#deadline);
    const frame = parsed(data);
    if (frame === undefined) this.onframe(data);
    else if (isAnswer?.(frame)) this.#settle()?.resolve(frame);
    else if (isAnswer && isError(frame)) this.#refuse(refusal(frame));
    else this.onframe(frame);
  }

  /** @param {RequestError} error */
  #refuse(error) {
    if (!this.#asksAgain(error)) this.#settle()?.reject(error);
  }

  /** What was asked for is no longer waited for. */
  #settle() {
    clearTimeout(this.#deadline);
    const asked = this.#asked;
    this.#asked = undefined;
    return asked;
  }

  /** @param {number} delay */
  #expectWithin(delay) {
    clearTimeout(this.#deadline);
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

/** @param {string} channel @param {number | undefined} since @returns {[any, IsAnswer]} */
function subscribing(channel, since) {
  return [{ action: "subscribe", channel, since }, answer("subscribed", channel)];
}

/** @param {string} type @param {string} channel @returns {IsAnswer} */
function answer(type, channel) {
  return (frame) => frame.type === type && frame.channel === channel;
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
