import { Lost, RequestError } from "./errors.js";
import { LARGEST_FRAME, REF_LENGTH, sizeOf } from "./frames.js";
import { PATIENCE_MS } from "./connection.js";
/** @import { Connection, IsAnswer, Patience } from "./connection.js" */

const UNDER_WAY = 32;
/** How often a request is sent whose connection ended before the answer came, where it does harm to do it twice. */
const TRIES = 2;
const CLOSED = "The client is closed.";
/** The close code of a connection over which a frame or a message came that was too large. */
const TOO_LARGE = 1009;

/**
 * @typedef {object} Asking how a request is sent
 * @property {string | symbol} [lane] requests in one lane are sent one after another
 * @property {IsAnswer} [isAnswer] without it, the answer is known by its `ref`
 * @property {Patience} [patience]
 * @property {boolean} [isRepeatable] whether it does no harm to carry it out twice
 * @property {AbortSignal} [signal]
 * @property {() => void} [onsend] called before it is sent, each time
 * @property {(connection: Connection, answer: any) => void} [onanswer] called before the promise is settled
 * @property {() => void} [onend] called when it is over: answered, refused or given up
 *
 * @typedef {Asking & { number: number, frame: any, resolve: (answer: any) => void, reject: (error: unknown) => void, tries: number }} Waiting
 */

/** The requests that wait, and those that are under way. */
export class Requests {
  #limit;
  #onfull;
  /** @type {Connection | undefined} */
  #connection;
  #count = 0;
  /** @type {Waiting[]} In the order of their numbers. */
  #queue = [];
  /** @type {Map<Waiting, Promise<void>>} */
  #underWay = new Map();
  /** Whether no more are accepted. */
  #isClosing = false;
  #isClosed = false;
  #ondrained = () => {};

  /** @param {number} limit how many wait at most @param {(request: any) => void} onfull called with one that found no place */
  constructor(limit, onfull) {
    this.#limit = limit;
    this.#onfull = onfull;
  }

  /**
   * Queues a request and gives the answer to it.
   *
   * @param {{ [field: string]: any }} frame
   * @param {Asking} [asking]
   * @returns {Promise<any>}
   */
  async add(frame, asking = {}) {
    const { signal } = asking;
    if (this.#isClosing) throw new RequestError("closed", CLOSED, frame);
    signal?.throwIfAborted();
    const size = sizeOf(frame);
    if (size > LARGEST_FRAME) {
      throw new RequestError("message_too_large", `It has ${size} bytes; at most ${LARGEST_FRAME} can be sent.`, frame);
    }
    if (this.#queue.length >= this.#limit) {
      this.#onfull(frame);
      throw new RequestError("queue_full", `${this.#limit} requests are waiting already.`, frame);
    }
    /** @type {() => void} */
    let abort = () => {};
    try {
      return await new Promise((resolve, reject) => {
        /** @type {Waiting} */
        const waiting = { ...asking, number: this.#count++, frame, resolve, reject, tries: 0 };
        abort = () => {
          this.#queue = this.#queue.filter((each) => each !== waiting);
          reject(signal?.reason);
          this.#work();
        };
        signal?.addEventListener("abort", abort);
        this.#queue.push(waiting);
        this.#work();
      });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Sends what waits over a connection, or, without one, lets it wait. @param {Connection} [connection] */
  use(connection) {
    this.#connection = connection;
    if (connection) connection.onfree = () => this.#work();
    this.#work();
  }

  /** Lets requests wait. Settled once what is under way has its answer, or waits again. */
  async pause() {
    this.#connection = undefined;
    await Promise.all(this.#underWay.values());
  }

  /** Accepts no more requests. */
  refuse() {
    this.#isClosing = true;
  }

  /** Settled once nothing waits and nothing is under way. @param {number} withinMs or this time has passed @returns {Promise<void>} */
  drained(withinMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#ondrained = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#work();
    });
  }

  /** Gives up what waits; what is under way ends with its connection. */
  close() {
    this.refuse();
    this.#isClosed = true;
    for (const { frame, reject } of this.#queue.splice(0)) {
      reject(new RequestError("closed", CLOSED, frame));
    }
    this.#work();
  }

  /** Sends what waits, as much as may be under way at once. */
  #work() {
    if (this.#queue.length + this.#underWay.size === 0) this.#ondrained();
    const connection = this.#connection;
    if (!connection) return;
    const lanes = new Set([...this.#underWay.keys()].map(({ lane }) => lane));
    this.#queue = this.#queue.filter((waiting) => {
      const { lane } = waiting;
      const waits = this.#underWay.size >= UNDER_WAY || connection.isHeldBack || (lane !== undefined && lanes.has(lane));
      lanes.add(lane);
      if (!waits) this.#underWay.set(waiting, this.#ask(connection, waiting));
      return waits;
    });
  }

  /** @param {Connection} connection @param {Waiting} waiting */
  async #ask(connection, waiting) {
    const { number, frame, isAnswer, patience = PATIENCE_MS, onsend, onanswer, onend, resolve, reject } = waiting;
    try {
      onsend?.();
      const ref = number.toString(36).padStart(REF_LENGTH, "0");
      const answer = await connection.request(frame, { isAnswer, patience, ref });
      onanswer?.(connection, answer);
      resolve(answer);
    } catch (error) {
      if (error instanceof Lost) this.#lose(waiting, error);
      else reject(error instanceof RequestError ? new RequestError(error.code, error.message, frame) : error);
    } finally {
      if (!this.#queue.includes(waiting)) onend?.();
      this.#underWay.delete(waiting);
      queueMicrotask(() => this.#work());
    }
  }

  /** The connection ended before the answer came. @param {Waiting} waiting @param {Lost} lost */
  #lose(waiting, { code }) {
    const { frame, signal, isRepeatable, reject } = waiting;
    const give = (/** @type {string} */ code, /** @type {string} */ message) => reject(new RequestError(code, message, frame));
    if (this.#isClosed) give("closed", CLOSED);
    else if (code === TOO_LARGE) give("message_too_large", "The server takes no message this long.");
    else if (signal?.aborted) reject(signal.reason);
    else if (isRepeatable || ++waiting.tries < TRIES) this.#wait(waiting);
    else give("unanswered", "The connection was lost before the answer, twice. It may have been done.");
  }

  /** Puts a request into the queue again, where it was. @param {Waiting} waiting */
  #wait(waiting) {
    const behind = this.#queue.findIndex(({ number }) => number > waiting.number);
    this.#queue.splice(behind < 0 ? this.#queue.length : behind, 0, waiting);
  }
}
