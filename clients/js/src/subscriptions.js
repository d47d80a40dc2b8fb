import { RequestError } from "./errors.js";
import { isGiven } from "./frames.js";
import { Order } from "./order.js";
import { REPEAT_PATIENCE_MS } from "./connection.js";
/** @import { Connection, Patience } from "./connection.js" */
/** @import { Identity, Numbered } from "./frames.js" */

/**
 * For how long a subscription is tried again on the same connection while it is restored, after a restart perhaps with all
 * other clients. To subscribe twice does no harm, so a fault is no reason either to give up the connection, and with it
 * the subscriptions that are restored.
 *
 * @type {Patience}
 */
const RESTORE_PATIENCE_MS = { ...REPEAT_PATIENCE_MS, throttled: 5 * 60_000 };
/** How long a message that is missing may still come by itself, before it is asked for: all members may miss it. */
const MISSING_MS = { least: 500, most: 2_000 };
/** How late a message may come that was sent before the client entered; clocks differ, too. */
const LATE_MS = 60_000;
/** How many messages wait at most for one that is missing, before it is asked for at once. */
const EARLY = 1_000;
/** How long after a message that could not be posted it is asked for again. */
const AGAIN_MS = 500;

/** A channel that the client is in. */
class Subscription {
  /** @type {Connection | undefined} The connection that is in the channel. */
  on;
  /** @type {number | undefined} When the last message was sent, or, before the first one, when it was entered. */
  since;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until what is missing is asked for. */
  timer;
  isHealing = false;

  /** @param {(message: Numbered) => void} give */
  constructor(give) {
    this.order = new Order((message) => {
      this.since = timeOf(message);
      give(message);
    });
  }
}

/** @param {Numbered} message */
function timeOf(message) {
  return "at" in message ? message.at : message.sentAt;
}

/** The channels that the client is in: it enters them on each new connection, and asks for what is missing there. */
export class Subscriptions {
  /** @type {Map<string, Subscription>} */
  #all = new Map();
  /** @type {Map<string, Subscription>} Those whose answer is not there yet. */
  #entering = new Map();
  #owner;

  /**
   * @param {object} owner
   * @param {(message: Numbered) => void} owner.give a message in its turn
   * @param {(identity: Identity) => void} owner.identify who the client is on the connection that is used from now on
   * @param {(channel: string, since?: number) => void} owner.miss messages may be missing
   * @param {(id: any) => boolean} owner.isKnown whether a message was heard before
   * @param {(error: RequestError) => void} owner.tell something went wrong
   */
  constructor(owner) {
    this.#owner = owner;
  }

  /** A request to enter a channel is about to be sent. @param {string} channel @param {number} [since] */
  begin(channel, since) {
    const subscription = this.#all.get(channel) ?? new Subscription(this.#owner.give);
    if (since !== undefined) subscription.order.collect();
    this.#entering.set(channel, subscription);
  }

  /** The request has its answer. @param {Connection} connection @param {string} channel @param {boolean} withOlder @param {any} answer */
  enter(connection, channel, withOlder, answer) {
    const { seq, more } = answer;
    this.#owner.identify(answer);
    const subscription = /** @type {Subscription} */ (this.#entering.get(channel));
    this.#all.set(channel, subscription);
    subscription.on = connection;
    subscription.since ??= Date.now();
    if (seq !== undefined) subscription.order.enter(seq, withOlder || isGiven(channel));
    else subscription.order.end();
    if (more) this.#heal(channel, subscription);
    else this.#watch(channel, subscription);
  }

  /** The request is over. @param {string} channel */
  end(channel) {
    this.#entering.delete(channel);
  }

  /** @param {string} channel */
  forget(channel) {
    clearTimeout(this.#all.get(channel)?.timer);
    this.#all.delete(channel);
  }

  /** Forgets all channels. */
  clear() {
    for (const channel of [...this.#all.keys()]) this.forget(channel);
  }

  /** A connection is over. @param {Connection} lost @param {Connection} [used] the one that is in use */
  lose(lost, used) {
    for (const subscription of this.#all.values()) if (subscription.on === lost) subscription.on = used;
  }

  /**
   * A number of a channel is there, with its message or without one.
   *
   * @param {string} channel
   * @param {number} seq
   * @param {Numbered} [message]
   * @returns {boolean} whether the message waits for its turn, or had it
   */
  hear(channel, seq, message) {
    if (!Number.isSafeInteger(seq) || seq < 1) return false; // No number that a server gives.
    const subscription = this.#all.get(channel) ?? this.#entering.get(channel);
    if (!subscription || (subscription.order.last === undefined && !this.#entering.has(channel))) return false;
    const isAnew = message !== undefined && this.#beginsAnew(subscription, seq, message);
    subscription.order.hear(seq, message);
    if (isAnew) this.#heal(channel, subscription);
    else this.#watch(channel, subscription);
    return true;
  }

  /**
   * Whether a new message has an old number: then the numbers have begun anew.
   *
   * @param {Subscription} subscription
   * @param {number} seq
   * @param {Numbered} message
   */
  #beginsAnew({ order, since = Infinity }, seq, message) {
    const age = order.ageOf(seq);
    // What was sent before the client entered may come late.
    const isOdd = age === "past" || (age === "older" && timeOf(message) > since + LATE_MS);
    // An announcement has no id: nobody can tell whether it was heard before.
    return isOdd && "id" in message && !this.#owner.isKnown(message.id);
  }

  /** A message without a number came. @param {string | undefined} channel @param {number} [sentAt] */
  hearUnnumbered(channel, sentAt) {
    const subscription = this.#all.get(channel ?? "");
    if (subscription) subscription.since = sentAt ?? subscription.since;
  }

  /**
   * Enters again what was entered before.
   *
   * @param {Connection} connection
   * @throws {Lost | RequestError} when the server is at fault: another connection may do better
   */
  async restore(connection) {
    for (const [channel, subscription] of this.#all) {
      while (subscription.on !== connection) {
        const { on, since } = subscription;
        const isWhole = await this.#enterAgain(connection, channel, subscription);
        if (on !== subscription.on) continue; // The connection before this one is not there any more.
        if (!isWhole) this.#owner.miss(channel, since);
        subscription.on = connection;
        this.#watch(channel, subscription);
      }
    }
  }

  /**
   * Enters a channel on another connection, and says whether all that was said meanwhile came, or was told to be missing.
   *
   * @param {Connection} connection
   * @param {string} channel
   * @param {Subscription} subscription
   * @returns {Promise<boolean>}
   */
  async #enterAgain(connection, channel, subscription) {
    try {
      if (subscription.order.last !== undefined) {
        await this.#catchUp(connection, channel, subscription, RESTORE_PATIENCE_MS);
        return true;
      }
      const answer = await connection.request({ action: "subscribe", channel }, { patience: RESTORE_PATIENCE_MS });
      this.#owner.identify(answer);
      if (answer.seq !== undefined) subscription.order.begin(answer.seq);
      return subscription.on !== undefined; // As long as the connection before this one is there, nothing is missed.
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.code in RESTORE_PATIENCE_MS) {
        if (isGiven(channel)) return false;
        throw error;
      }
      this.forget(channel);
      this.#owner.tell(new RequestError(error.code, error.message, { action: "subscribe", channel }));
      return true;
    }
  }

  /**
   * Asks for what comes after the last message, page by page.
   *
   * @param {Connection} connection
   * @param {string} channel
   * @param {Subscription} subscription
   * @param {Patience} patience
   */
  async #catchUp(connection, channel, subscription, patience) {
    const { order, since } = subscription;
    for (;;) {
      const after = /** @type {number} */ (order.last);
      const answer = await connection.request({ action: "subscribe", channel, after }, { patience });
      this.#owner.identify(answer);
      if (this.#all.get(channel) !== subscription) return; // It was left meanwhile.
      if (answer.seq === undefined) order.end(); // There is no history any more.
      else if (answer.seq < after) order.restart(answer.seq); // The numbers have begun anew.
      else order.cover(answer.seq);
      // Told at once: if the connection is lost between two pages, the next one knows nothing of it.
      if (answer.missing || answer.seq === undefined) this.#owner.miss(channel, since);
      if (!answer.more) return;
      // What could not be posted is tried again.
      if (answer.seq === after) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      if (this.#all.get(channel) !== subscription) return;
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
      const { least, most } = MISSING_MS;
      subscription.timer ??= setTimeout(() => this.#heal(channel, subscription), least + Math.random() * (most - least));
    }
  }

  /** Asks for what is missing between messages. @param {string} channel @param {Subscription} subscription */
  async #heal(channel, subscription) {
    clearTimeout(subscription.timer);
    subscription.timer = undefined;
    const connection = subscription.on;
    // Without a connection, all that is missing is asked for once there is one.
    if (!connection || subscription.isHealing) return;
    subscription.isHealing = true;
    const { since, order } = subscription;
    try {
      await this.#catchUp(connection, channel, subscription, REPEAT_PATIENCE_MS);
    } catch (error) {
      if (!(error instanceof RequestError)) return;
      order.skip();
      this.#owner.miss(channel, since);
    } finally {
      subscription.isHealing = false;
      if (this.#all.get(channel) === subscription) this.#watch(channel, subscription);
    }
  }
}
