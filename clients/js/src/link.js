import { Connection } from "./connection.js";
import { Lost, RequestError } from "./errors.js";

// API Gateway closes any connection after 2 hours.
const RENEW_MS = { least: 100 * 60_000, most: 110 * 60_000 };
/** For how long a connection is kept beside the one that replaces it: what is on its way still comes. */
const OVERLAP_MS = 5_000;
/** A connection that ends sooner counts as another failure. */
const STABLE_MS = 10_000;
/** After so many refusals in a row it is worth to ask whether anybody is there. */
const REFUSALS = 3;
/** How long that may take. */
const REPLY_WITHIN_MS = 10_000;

/**
 * @typedef {string | { url: string, protocols?: string | string[] }} Target
 *
 * @typedef {object} State
 * @property {"connecting" | "open" | "waiting" | "refused" | "closed"} name `waiting`: for the next try, after a
 *   connection was lost or not to be had. `refused`: the server is there, and does not let this client in.
 * @property {number} [retryAt] when the next try is, in milliseconds since the Unix epoch
 *
 * @typedef {object} Owner what is done with a connection
 * @property {(state: State) => void} become
 * @property {(error: RequestError) => void} tell something went wrong
 * @property {(frame: any) => void} hear a frame that answers no request
 * @property {() => Promise<void>} pause requests wait until a connection is used; settled once none is under way
 * @property {(connection: Connection) => Promise<void>} restore makes a connection ready, which fails if it is lost
 * @property {(connection?: Connection) => void} use requests go over this one now, or wait
 * @property {(lost: Connection, used?: Connection) => void} lose a connection is over; the other one is in use
 */

/** Keeps one connection in use: makes it, renews it, and makes another one when it is lost. */
export class Link {
  /** @type {State} */
  state = { name: "connecting" };
  /** @type {Connection | undefined} The one in use. */
  connection;

  #target;
  #retry;
  #answerWithinMs;
  #WebSocket;
  #owner;
  /** @type {Connection | undefined} The one that was replaced, for a moment. */
  #former;
  /** @type {Connection | undefined} The one that is being made. */
  #next;
  #connecting = false;
  #failures = 0;
  #refusals = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until the next connection is made. */
  #timer;
  #wake = () => {
    if (globalThis.document?.visibilityState !== "hidden") this.wake();
  };

  /**
   * @param {Target | (() => Target | Promise<Target>)} target
   * @param {{ retryMs: { least: number, most: number }, answerWithinMs: number, WebSocket: typeof globalThis.WebSocket }} options
   * @param {Owner} owner
   */
  constructor(target, { retryMs, answerWithinMs, WebSocket }, owner) {
    this.#target = typeof target === "function" ? target : () => target;
    this.#retry = retryMs;
    this.#answerWithinMs = answerWithinMs;
    this.#WebSocket = WebSocket;
    this.#owner = owner;
    for (const [source, type] of signs()) source?.addEventListener?.(type, this.#wake);
  }

  get isClosed() {
    return this.state.name === "closed";
  }

  /** Tries to connect at once, instead of later; finds out whether the connection is alive, if there is one. */
  wake() {
    if (this.isClosed) return;
    if (this.connection) this.connection.ping();
    else this.connect();
  }

  /** Closes all connections for good. */
  close() {
    this.#become({ name: "closed" });
    clearTimeout(this.#timer);
    for (const [source, type] of signs()) source?.removeEventListener?.(type, this.#wake);
    for (const connection of [this.#former, this.connection, this.#next]) connection?.end(1000);
  }

  /** Makes a connection. One that is in use stays so until the new one is ready. */
  async connect() {
    if (this.#connecting) return;
    this.#connecting = true;
    if (!this.connection && this.state.name !== "refused") this.#become({ name: "connecting" });
    /** @type {string | undefined} */
    let url;
    try {
      const target = await this.#inTime(this.#target());
      const { url: address, protocols = [] } = typeof target === "string" ? { url: target } : target;
      url = address;
      if (this.isClosed) return;
      const connection = new Connection(new this.#WebSocket(url, protocols), this.#answerWithinMs);
      this.#next = connection;
      connection.onframe = (frame) => this.#owner.hear(frame);
      connection.onlost = () => this.#lose(connection);
      await connection.opened;
      this.#refusals = 0;
      await this.#owner.pause();
      await this.#owner.restore(connection);
      if (connection.isOver) throw new Lost();
      this.#take(connection);
    } catch (error) {
      if (this.isClosed) return;
      if (!(error instanceof Lost)) this.#owner.tell(error instanceof RequestError ? error : new RequestError("url", String(error)));
      else if (!this.#next?.openedAt) this.#refusals++;
      this.#next?.end();
      if (this.#next) this.#lose(this.#next);
      await this.#fail(url);
    } finally {
      this.#next = undefined;
      this.#connecting = false;
      this.#owner.use(this.connection);
    }
  }

  /** Uses a connection from now on. @param {Connection} connection */
  #take(connection) {
    const former = (this.#former = this.connection);
    this.connection = connection;
    if (former) setTimeout(() => former.end(1000), OVERLAP_MS);
    else this.#become({ name: "open" });
    this.#later(RENEW_MS.least + Math.random() * (RENEW_MS.most - RENEW_MS.least));
  }

  /** A connection is over, in use or not yet. @param {Connection} connection */
  #lose(connection) {
    const isUsed = connection === this.connection;
    if (isUsed) this.connection = undefined;
    this.#owner.lose(connection, this.connection);
    if (!isUsed) return;
    this.#owner.use(undefined);
    if (Date.now() - (connection.openedAt ?? 0) > STABLE_MS) this.#failures = 0;
    if (this.#connecting) this.#become({ name: "connecting" });
    else this.#fail();
  }

  /** Tries again later. @param {string} [url] at which there was no connection to be had */
  async #fail(url) {
    // A browser does not say whether the server refused or was not there.
    const refused = url !== undefined && this.#refusals >= REFUSALS && (await answers(url));
    if (this.isClosed) return;
    const { least, most } = this.#retry;
    const longest = refused ? most : Math.min(most, least * 2 ** this.#failures);
    // Jittered, so that the clients of a server that restarts do not all come back at once.
    const delay = longest * (0.5 + Math.random() / 2);
    this.#failures++;
    if (!this.connection) this.#become({ name: refused ? "refused" : "waiting", retryAt: Date.now() + delay });
    this.#later(delay);
  }

  /** @param {number} delay */
  #later(delay) {
    clearTimeout(this.#timer);
    if (!this.isClosed) this.#timer = setTimeout(() => this.connect(), delay);
  }

  /** @param {State} state */
  #become(state) {
    this.state = state;
    this.#owner.become(state);
  }

  /**
   * What a target gives. One that never does would end all tries to connect.
   *
   * @template T
   * @param {T | Promise<T>} target
   * @returns {Promise<T>}
   */
  async #inTime(target) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    /** @type {Promise<never>} */
    const late = new Promise((_, reject) => {
      const error = new RequestError("url", "The target gave no URL in time.");
      timer = setTimeout(reject, this.#answerWithinMs, error);
    });
    try {
      return await Promise.race([target, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What tells that there may be a network again, or another one. @returns {[EventTarget | undefined, string][]} */
function signs() {
  const { document, navigator } = /** @type {any} */ (globalThis);
  return [[globalThis, "online"], [document, "visibilitychange"], [navigator?.connection, "change"]];
}

/** Whether anybody answers there at all. @param {string} url */
async function answers(url) {
  try {
    const { origin, pathname } = new URL(url.replace(/^ws/, "http"));
    await fetch(origin + pathname, { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(REPLY_WITHIN_MS) });
    return true;
  } catch {
    return false;
  }
}
