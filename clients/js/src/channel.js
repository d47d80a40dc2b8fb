import { Emitter } from "./emitter.js";
/** @import { WebSocketClient } from "./client.js" */
/** @import { Ack, Announcement, Members, Message, Replay } from "./frames.js" */

/**
 * @typedef {object} ChannelEvents
 * @property {Message} message a message arrived: each once, and in order where the channel has a history
 * @property {Announcement} joined somebody entered the channel, where the server announces it
 * @property {Announcement} left somebody left it
 * @property {{ channel: string, since?: number }} gap messages may be missing since then
 */

/**
 * One channel of a client, from {@link WebSocketClient.channel}.
 *
 * @extends {Emitter<ChannelEvents>}
 */
export class Channel extends Emitter {
  #client;

  /** @param {WebSocketClient} client @param {string} name */
  constructor(client, name) {
    super();
    this.#client = client;
    this.name = name;
  }

  /**
   * Enters the channel: see {@link WebSocketClient.subscribe}.
   *
   * @param {{ since?: number, signal?: AbortSignal }} [options]
   * @returns {Promise<Replay>}
   */
  subscribe(options) {
    return this.#client.subscribe(this.name, options);
  }

  /** Leaves the channel. @param {{ signal?: AbortSignal }} [options] */
  unsubscribe(options) {
    return this.#client.unsubscribe(this.name, options);
  }

  /**
   * Sends a message to the channel: see {@link WebSocketClient.send}.
   *
   * @param {any} message
   * @param {{ echo?: boolean, id?: string, ordered?: boolean, signal?: AbortSignal }} [options]
   * @returns {Promise<Ack>}
   */
  send(message, options) {
    return this.#client.send(this.name, message, options);
  }

  /**
   * A page of who is in the channel: see {@link WebSocketClient.list}. `Presence` keeps all of them up to date.
   *
   * @param {{ limit?: number, after?: string, signal?: AbortSignal }} [options]
   * @returns {Promise<Members>}
   */
  list(options) {
    return this.#client.list(this.name, options);
  }

  /**
   * Enters the channel, and gives its messages, for `for await`. It ends with the signal, or when the client is closed. What
   * arrives while the loop is busy waits for it. The loop's end does not leave the channel.
   *
   * @param {{ since?: number, signal?: AbortSignal }} [options]
   * @returns {AsyncGenerator<Message, void, void>}
   */
  async *messages({ since, signal } = {}) {
    /** @type {Message[]} */
    const waiting = [];
    let isOver = false;
    let wake = () => {};
    const end = () => {
      isOver = true;
      wake();
    };
    const offs = [
      this.on("message", (message) => {
        waiting.push(message);
        wake();
      }),
      this.#client.on("state", ({ name }) => name === "closed" && end()),
    ];
    signal?.addEventListener("abort", end);
    try {
      /** @type {unknown} */
      let failure;
      this.subscribe({ since, signal }).catch((error) => {
        failure = error;
        wake();
      });
      for (;;) {
        const message = waiting.shift();
        if (message) yield message;
        else if (isOver) return;
        else if (failure) throw failure;
        else await new Promise((/** @type {(value?: unknown) => void} */ resolve) => (wake = resolve));
      }
    } finally {
      signal?.removeEventListener("abort", end);
      for (const off of offs) off();
    }
  }

  /** The messages from now on: {@link messages} without options. */
  [Symbol.asyncIterator]() {
    return this.messages();
  }
}
