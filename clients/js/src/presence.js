import { Emitter } from "./emitter.js";
/** @import { WebSocketClient } from "./client.js" */
/** @import { Announcement, Member } from "./frames.js" */

/** How often the list is fetched anew: announcements are best effort. */
const REFRESH_MS = 5 * 60_000;
const PAGE = 1_000;

/**
 * @typedef {object} Person
 * @property {string} id the principal, or, of a connection without one, its id
 * @property {string} [principal]
 * @property {number} connectedAt in milliseconds since the Unix epoch; of several connections, the first one
 */

/**
 * Who is in a channel: fetched at once, after each reconnect and every five minutes, and kept up to date in between by what
 * the server announces to the members of the channel. Where the channel has a history, the list is exact.
 *
 * @extends {Emitter<{ change: Person[], error: unknown }>}
 */
export class Presence extends Emitter {
  /** @type {Person[]} In the order in which they came; another array after each change. */
  people = [];

  #client;
  #channel;
  /** @type {Map<string, Person>} */
  #byId = new Map();
  /** @type {Announcement[] | undefined} What was announced since the list was asked for. */
  #meanwhile;
  /** @type {number | undefined} The list has what was announced up to this number. */
  #seq;
  #isStale = false;
  #closing = new AbortController();
  #timer;
  #offs;

  /** @param {WebSocketClient} client @param {string} channel its name */
  constructor(client, channel) {
    super();
    this.#client = client;
    this.#channel = channel;
    this.#offs = [
      client.channel(channel).on("joined", (announcement) => this.#hear(announcement)),
      client.channel(channel).on("left", (announcement) => this.#hear(announcement)),
      client.on("state", ({ name }) => name === "open" && this.refresh()),
    ];
    this.#timer = setInterval(() => this.refresh(), REFRESH_MS);
    this.refresh();
  }

  /** Fetches the list anew. What goes wrong is an `error` event, and leaves the list as it is. */
  async refresh() {
    this.#isStale = true;
    if (this.#meanwhile) return; // It is fetched once more when the answer is there.
    while (this.#isStale && !this.#closing.signal.aborted) {
      this.#isStale = false;
      /** @type {Announcement[]} */
      const meanwhile = (this.#meanwhile = []);
      try {
        await this.#fetch();
        for (const announcement of meanwhile) this.#apply(announcement);
        this.#change();
      } catch (error) {
        if (!this.#closing.signal.aborted) this.emit("error", error);
      } finally {
        this.#meanwhile = undefined;
      }
    }
  }

  /** Ends it. */
  close() {
    this.#closing.abort();
    clearInterval(this.#timer);
    for (const off of this.#offs) off();
  }

  async #fetch() {
    /** @type {Map<string, Person>} */
    const byId = new Map();
    /** @type {string | undefined} */
    let after;
    /** @type {number | undefined} */
    let seq;
    do {
      const page = await this.#client.list(this.#channel, { limit: PAGE, after, signal: this.#closing.signal });
      for (const member of page.members) enter(byId, member);
      if (after === undefined) seq = page.seq;
      after = page.next;
    } while (after);
    this.#byId = byId;
    this.#seq = seq;
  }

  /** @param {Announcement} announcement */
  #hear(announcement) {
    this.#apply(announcement);
    this.#meanwhile?.push(announcement);
    this.#change();
  }

  /** @param {Announcement} announcement */
  #apply({ type, connectionId, principal, at, seq }) {
    // By number, the list and what is announced are in one order. Without one, the time tells which is newer.
    const isNumbered = seq !== undefined && this.#seq !== undefined;
    if (isNumbered && seq <= Number(this.#seq)) return;
    const id = principal ?? connectionId;
    const known = this.#byId.get(id);
    if (type === "joined") enter(this.#byId, { connectionId, principal, connectedAt: at });
    else if (known && (isNumbered || known.connectedAt <= at)) this.#byId.delete(id);
  }

  #change() {
    this.people = [...this.#byId.values()].sort((a, b) => a.connectedAt - b.connectedAt);
    this.emit("change", this.people);
  }
}

/** @param {Map<string, Person>} byId @param {Member} member */
function enter(byId, { connectionId, principal, connectedAt }) {
  const id = principal ?? connectionId;
  const known = byId.get(id);
  if (!known || connectedAt < known.connectedAt) byId.set(id, { id, principal, connectedAt });
}
