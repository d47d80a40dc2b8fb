/**
 * A WebSocket client that stays connected, for browsers and Node 22 or newer.
 *
 * What it does, and what it cannot do, is in its README.
 *
 * @module
 */

export { Channel } from "./channel.js";
export { WebSocketClient } from "./client.js";
export { RequestError } from "./errors.js";
export { ID_LENGTH, LARGEST_FRAME, sizeOf } from "./frames.js";
export { Presence } from "./presence.js";

/** @typedef {import("./channel.js").ChannelEvents} ChannelEvents */
/** @typedef {import("./client.js").Events} Events */
/** @typedef {import("./client.js").Options} Options */
/** @typedef {import("./frames.js").Ack} Ack */
/** @typedef {import("./frames.js").Announcement} Announcement */
/** @typedef {import("./frames.js").Identity} Identity */
/** @typedef {import("./frames.js").Member} Member */
/** @typedef {import("./frames.js").Members} Members */
/** @typedef {import("./frames.js").Message} Message */
/** @typedef {import("./frames.js").Replay} Replay */
/** @typedef {import("./link.js").State} State */
/** @typedef {import("./link.js").Target} Target */
/** @typedef {import("./presence.js").Person} Person */
