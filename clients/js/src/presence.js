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
 * the server announces to the members of the channel.
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
  /** @type {(() => void)[] | undefined} What was announced since the list was asked for. */
  #meanwhile;
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
      client.channel(channel).on("joined", (announcement) => this.#announce(announcement, true)),
      client.channel(channel).on("left", (announcement) => this.#announce(announcement, false)),
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
      /** @type {(() => void)[]} */
      const meanwhile = (this.#meanwhile = []);
      try {
        const byId = await this.#fetch();
        this.#byId = byId;
        for (const apply of meanwhile) apply();
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
    do {
      const page = await this.#client.list(this.#channel, { limit: PAGE, after, signal: this.#closing.signal });
      for (const member of page.members) enter(byId, member);
      after = page.next;
    } while (after);
    return byId;
  }

  /** @param {Announcement} announcement @param {boolean} isThere */
  #announce({ connectionId, principal, at }, isThere) {
    const apply = () => {
      const id = principal ?? connectionId;
      const known = this.#byId.get(id);
      if (isThere) enter(this.#byId, { connectionId, principal, connectedAt: at });
      else if (known && known.connectedAt <= at) this.#byId.delete(id);
    };
    apply();
    this.#meanwhile?.push(apply);
    this.#change();
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
