import { Lost, isError, refusal } from "./errors.js";
import { parsed } from "./frames.js";
/** @import { RequestError } from "./errors.js" */

// API Gateway closes a connection that is idle for 10 minutes.
const HEARTBEAT_MS = 5 * 60_000;
const PONG_WITHIN_MS = 10_000;
/** After so long without a sign of life, while an answer is waited for, it asks whether the other side is there. */
const SILENCE_MS = 10_000;
/** How long a request waits that the server had no time for, before it is sent again: longer each time. */
const AGAIN_MS = { least: 500, most: 15_000 };
/**
 * For how long a request is sent again on the same connection, by the code of the error. `throttled` and
 * `too_many_requests` say that nothing was done.
 *
 * @type {Patience}
 */
export const PATIENCE_MS = { throttled: 60_000, too_many_requests: 60_000 };
/** The same for what does no harm if it is done twice: a fault of the server is no reason to give it up. @type {Patience} */
export const REPEAT_PATIENCE_MS = { ...PATIENCE_MS, gateway: 10_000 };

/**
 * @typedef {(frame: any) => boolean} IsAnswer
 * @typedef {{ [code: string]: number }} Patience in milliseconds
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

/** One connection: a socket, its heartbeat, and the requests that are under way on it. */
export class Connection {
  /** @type {(frame: any) => void} */
  onframe = () => {};
  onlost = () => {};
  /** Fewer requests are under way. */
  onfree = () => {};
  /** @type {number | undefined} */
  openedAt;
  isOver = false;

  #socket;
  #answerWithinMs;
  /** @type {{ resolve: () => void, reject: (error: Error) => void } | undefined} Who waits for it to open. */
  #opening;
  /** @type {Set<Asked>} In the order in which they were asked. */
  #asked = new Set();
  #refs = 0;
  /** @type {Promise<any>} Settled once the last replay is over. */
  #replay = Promise.resolve();
  /** @type {{ error: RequestError, among: Set<Asked> }[]} Errors of API Gateway's own, and the requests that each can be for. */
  #unclear = [];
  #heardAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeat;
  /** @type {ReturnType<typeof setInterval> | undefined} While an answer is waited for. */
  #watch;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until it is given up as dead: while it opens, or a ping is out. */
  #deadline;

  /** @param {WebSocket} socket @param {number} answerWithinMs how long it may take to open, and to answer */
  constructor(socket, answerWithinMs) {
    this.#socket = socket;
    this.#answerWithinMs = answerWithinMs;
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve, reject) => {
      this.#expectWithin(answerWithinMs);
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
   * Sends a request and gives the answer. Replays go one after another: the server makes one at a time for a connection.
   *
   * @param {any} frame
   * @param {{ isAnswer?: IsAnswer, patience?: Patience, ref?: string }} [options]
   * @returns {Promise<any>}
   */
  request(frame, options) {
    const isReplay = frame.action === "subscribe" && (frame.after ?? frame.since) !== undefined;
    if (!isReplay) return this.#request(frame, options);
    const answer = this.#replay.then(() => this.#request(frame, options));
    this.#replay = answer.catch(() => {});
    return answer;
  }

  /**
   * @param {any} frame
   * @param {{ isAnswer?: IsAnswer, patience?: Patience, ref?: string }} [options]
   * @returns {Promise<any>}
   */
  #request(frame, { isAnswer, patience = PATIENCE_MS, ref = `c${this.#refs++}` } = {}) {
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
    asked.timer = setTimeout(() => this.#lose(), this.#answerWithinMs);
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
    // The code is about one of them: of several, nobody knows which.
    for (const { reject } of asked) reject(new Lost(asked.length === 1 ? code : undefined));
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
    const isOfOwn = typeof frame.ref !== "string" && (frame.type === "error" || !isError(frame));
    const accepts = (/** @type {Asked} */ each) => {
      try {
        return each.isAnswer?.(frame);
      } catch (error) {
        this.#settle(each).reject(/** @type {Error} */ (error));
      }
    };
    const asked = out.find((each) => (each.isAnswer ? isOfOwn && (frame.type === "error" || accepts(each)) : each.ref === frame.ref));
    if (asked) {
      if (isError(frame) && !accepts(asked)) this.#refuse(asked, refusal(frame));
      else this.#settle(asked).resolve(frame);
      this.#sort();
    } else if (frame.type === undefined && isError(frame) && out.length > 0) {
      this.#unclear.push({ error: refusal(frame), among: new Set(out) });
      this.#sort();
    } else {
      this.onframe(frame);
    }
  }

  /**
   * Finds the requests that errors of API Gateway's own are for: it answers each request once. So once no more requests wait
   * for an answer than there were such errors, of those that were under way at the time, they are for these.
   */
  #sort() {
    for (let count = this.#unclear.length; count > 0; count--) {
      const out = [...this.#unclear[count - 1].among].filter((asked) => asked.isOut && this.#asked.has(asked));
      if (out.length > count) continue;
      const errors = this.#unclear.splice(0, count);
      const { error } = errors.find(({ error }) => error.code !== "throttled") ?? errors[0];
      for (const asked of out) this.#refuse(asked, error);
      return;
    }
  }

  /** @param {Asked} asked @param {RequestError} error */
  #refuse(asked, error) {
    if (!this.#asksAgain(asked, error)) this.#settle(asked).reject(error);
  }

  /** Nobody waits for the answer any more. @param {Asked} asked */
  #settle(asked) {
    clearTimeout(asked.timer);
    this.#asked.delete(asked);
    queueMicrotask(() => this.onfree());
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
