/**
 * Hooks for React.
 *
 * @module
 */

import { useEffect, useRef, useState, useSyncExternalStore } from "react";

import { Presence } from "./presence.js";
/** @import { Channel } from "./channel.js" */
/** @import { WebSocketClient } from "./client.js" */
/** @import { Message } from "./frames.js" */
/** @import { State } from "./link.js" */
/** @import { Person } from "./presence.js" */

/** The components that are in each channel, and the last request to enter it. @type {WeakMap<Channel, { count: number, entered: Promise<unknown> }>} */
const stays = new WeakMap();

/**
 * Enters a channel for a component. The last one that leaves it leaves it altogether.
 *
 * @param {Channel} channel
 * @param {number} [since]
 */
function enter(channel, since) {
  const stay = stays.get(channel) ?? { count: 0, entered: Promise.resolve() };
  stays.set(channel, stay);
  if (stay.count++ === 0 || since !== undefined) stay.entered = channel.subscribe({ since });
  const leave = () => {
    // A client that is closed has left already.
    if (--stay.count === 0) channel.unsubscribe().catch(() => {});
  };
  return { entered: stay.entered, leave };
}

/**
 * What the client's state is. The component is rendered anew when it changes.
 *
 * @param {WebSocketClient} client
 * @returns {State}
 */
export function useConnectionState(client) {
  return useSyncExternalStore((change) => client.on("state", change), () => client.state, () => client.state);
}

/**
 * Is in a channel as long as the component is mounted. The last one of several components leaves it.
 *
 * @param {WebSocketClient} client
 * @param {string} name
 * @param {(message: Message) => void} [listener] called with each message: the latest function that was given
 * @param {{ since?: number }} [options] `since`: what was said since then comes first, where there is a history
 * @returns {{ channel: Channel, error?: unknown }} `error`: why the channel could not be entered
 */
export function useChannel(client, name, listener, { since } = {}) {
  const channel = client.channel(name);
  const [failure, setFailure] = useState(/** @type {{ channel: Channel, error: unknown } | undefined} */ (undefined));
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => {
    let isMounted = true;
    const off = channel.on("message", (message) => latest.current?.(message));
    const { entered, leave } = enter(channel, since);
    entered.then(
      () => isMounted && setFailure(undefined),
      (error) => isMounted && setFailure({ channel, error }),
    );
    return () => {
      isMounted = false;
      off();
      leave();
    };
  }, [channel, since]);
  return { channel, error: failure?.channel === channel ? failure.error : undefined };
}

/**
 * Who is in a channel. The component is in it, too, as long as it is mounted: only members hear who comes and goes.
 *
 * @param {WebSocketClient} client
 * @param {string} name
 * @returns {Person[]} in the order in which they came
 */
export function usePresence(client, name) {
  const [people, setPeople] = useState(/** @type {Person[]} */ ([]));
  useEffect(() => {
    /** @type {Presence | undefined} */
    let presence;
    let isMounted = true;
    const { entered, leave } = enter(client.channel(name));
    const begin = () => {
      if (!isMounted) return;
      presence = new Presence(client, name);
      presence.on("change", setPeople);
    };
    // Who may not enter may list it all the same.
    entered.then(begin, begin);
    return () => {
      isMounted = false;
      presence?.close();
      leave();
      setPeople([]);
    };
  }, [client, name]);
  return people;
}
