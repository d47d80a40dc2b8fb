/**
 * What a client hears and says.
 *
 * @typedef {{ type?: "message", id: string, channel?: string, from?: string, principal?: string, message: any, sentAt: number, seq?: number }} Message
 *   `seq`: its number in the channel, where the server keeps a history
 * @typedef {{ id: string, requestId: string, seq?: number, delivered: number, gone: number, failed: number, duplicate?: boolean }} Ack
 * @typedef {{ connectionId: string, principal?: string }} Identity who a client is on a connection
 * @typedef {{ replayed?: number, complete?: boolean }} Replay how many messages came, and whether they are all
 * @typedef {{ connectionId: string, principal?: string, connectedAt: number }} Member
 * @typedef {{ channel: string, members: Member[], next?: string, seq?: number }} Members
 *   `seq`: joins and leaves up to this number are in the list
 * @typedef {{ type: "joined" | "left", channel: string, connectionId: string, principal?: string, at: number, seq?: number }} Announcement
 *   somebody joined or left
 * @typedef {Message | Announcement} Numbered what has a number where the server keeps a history
 */

/**
 * The bytes of the largest frame that API Gateway takes: it closes the connection for a larger one. A message may have
 * four times as many, but in several frames, and nobody can tell a browser where to split.
 */
export const LARGEST_FRAME = 32_768;
/** The length of the id that a message is sent with. */
export const ID_LENGTH = 32;
/** The length of the reference that each request carries, so that its answer finds it. */
export const REF_LENGTH = 8;

/** The bytes of a request as it is sent. {@link LARGEST_FRAME} is the limit. @param {{ [field: string]: any }} frame */
export function sizeOf(frame) {
  return new TextEncoder().encode(JSON.stringify({ ref: "-".repeat(REF_LENGTH), ...frame })).length;
}

/** An id that nobody else has. @returns {string} {@link ID_LENGTH} characters */
export function newId() {
  // Not `randomUUID`: pages over plain HTTP have none.
  const bytes = crypto.getRandomValues(new Uint8Array(ID_LENGTH / 2));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether every connection is in the channel, or every connection of a user, without a subscription. @param {string} channel */
export function isGiven(channel) {
  return channel === "*" || channel.startsWith("user:");
}

/** A frame, if it is a JSON object. @param {any} data @returns {any} */
export function parsed(data) {
  try {
    const frame = JSON.parse(data);
    return frame instanceof Object && !Array.isArray(frame) ? frame : undefined;
  } catch {
    return undefined;
  }
}
