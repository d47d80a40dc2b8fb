/** @import { Numbered } from "./frames.js" */

/** The messages of a channel in the order of their numbers: what was given to the listeners, and what came too early. */
export class Order {
  /** @type {number | undefined} All up to this number was given. Without it, there are no numbers, or the first answer is to come. */
  last;
  /** @type {Map<number, Numbered | undefined>} What came before something that it follows; nothing where a number has no message for this client. */
  early = new Map();
  /** All from this number on was given. */
  #first = 0;
  /** @type {Map<number, Numbered | undefined> | undefined} Older messages that were asked for. */
  #older;
  #give;

  /** @param {(message: Numbered) => void} give */
  constructor(give) {
    this.#give = give;
  }

  /** Whether something is missing. */
  get isWaiting() {
    return this.last !== undefined && this.early.size > 0;
  }

  /** Whether a number belongs to what was given, to what came before that, or to what is to come. @param {number} seq */
  ageOf(seq) {
    if (this.last === undefined || seq > this.last) return "new";
    if (seq >= this.#first) return "past";
    return this.#older ? "new" : "older"; // Asked for, it is to come.
  }

  /** @param {number} seq @param {Numbered} [message] none where the number has no message for this client */
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

  /** The numbers have begun anew: what waits has a former one. @param {number} seq */
  restart(seq) {
    this.early.clear();
    this.begin(seq);
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

  /** What is missing before the first message that waits is not to be had. */
  skip() {
    if (this.isWaiting) this.cover(Math.min(...this.early.keys()) - 1);
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

  /** @param {Map<number, Numbered | undefined>} messages */
  #giveAll(messages) {
    for (const [, message] of [...messages].sort(([a], [b]) => a - b)) if (message) this.#give(message);
  }
}
