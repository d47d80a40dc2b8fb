/** What API Gateway says where there are more requests than the stage, the route or the account allows. */
const THROTTLED = /^(too many requests|limit exceeded|rate exceeded)/i;

/** A request that was refused, or given up on. */
export class RequestError extends Error {
  name = "RequestError";

  /**
   * @param {string} code the server's, or `gateway` (a fault of the server), `throttled`, `queue_full`, `message_too_large`,
   *   `unanswered`, `closed`, `url`
   * @param {string} message what was wrong, for people
   * @param {{ [field: string]: any }} [request] what was asked for
   */
  constructor(code, message, request) {
    super(message);
    this.code = code;
    this.request = request;
  }
}

/** The connection ended, or never opened. */
export class Lost extends Error {
  /** @param {number} [code] the close code, where there is one */
  constructor(code) {
    super();
    this.code = code;
  }
}

/**
 * Whether a frame is an error. API Gateway's own errors have no type, but the ids of the connection and the request. A push of
 * somebody's backend may have a text as its `message`, too.
 *
 * @param {any} frame
 */
export function isError({ type, message, connectionId, requestId }) {
  if (type !== undefined) return type === "error";
  return [message, connectionId, requestId].every((field) => typeof field === "string");
}

/** The error that a frame tells. @param {any} frame */
export function refusal({ type, code = "gateway", message, requestId }) {
  if (type === "error") return new RequestError(code, message);
  return new RequestError(THROTTLED.test(message) ? "throttled" : "gateway", `${message} (request ${requestId})`);
}
