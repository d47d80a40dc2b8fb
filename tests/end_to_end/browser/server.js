// Plays the server inside the page, so that a test can have it say anything. It runs in a page that is not connected yet,
// and has it connect.
window.server = {
  /** What the page said. */
  said: [],
  /** What was said in each channel, for those who come back. */
  history: {},
  /** The page's connection. */
  self: "self-1",
  /** @type {WebSocket} */
  socket: undefined,

  push(...frames) {
    for (const frame of frames) this.socket.onmessage?.({ data: JSON.stringify(frame) });
  },

  /** What is said to a request, by the function. Whatever answers it has its reference; messages have none. */
  answersTo(frame, say) {
    const answering = (answer) => (["message", "pong", undefined].includes(answer.type) ? answer : { ...answer, ref: frame.ref });
    return say(frame).map(answering);
  },

  /** The last message that the page sent. */
  sent: () => server.said.findLast(({ action }) => action === "send"),

  /** A message of another client. */
  message: (id, from, message, more) => ({ type: "message", id, channel: "*", from, message, sentAt: Date.now(), ...more }),

  /** What the server says to a request; a test changes it. */
  answers: {
    send({ channel, message }) {
      const id = `m${server.said.length}`;
      return [
        { type: "message", id, channel, from: server.self, message, sentAt: Date.now() },
        { type: "ack", id, requestId: "r", delivered: 1, gone: 0, failed: 0 },
      ];
    },
    subscribe({ channel, since }) {
      const missed = since === undefined ? [] : (server.history[channel] ?? []).filter(({ sentAt }) => sentAt >= since - 60_000);
      return [...missed, { type: "subscribed", channel, connectionId: server.self, requestId: "r", ...(since !== undefined && { replayed: missed.length, complete: true }) }];
    },
    unsubscribe: ({ channel }) => [{ type: "unsubscribed", channel, requestId: "r" }],
    list: ({ channel }) => [{ type: "members", channel, members: [{ connectionId: server.self, connectedAt: Date.now() }], requestId: "r" }],
    ping: () => [{ type: "pong" }],
  },
};

window.WebSocket = class {
  constructor() {
    server.socket = this;
    setTimeout(() => this.onopen?.());
  }

  send(text) {
    const frame = JSON.parse(text);
    server.said.push(frame);
    setTimeout(() => server.push(...server.answersTo(frame, server.answers[frame.action])));
  }

  close() {}
};

document.getElementById("url").value = "wss://example.test/dev";
document.querySelector("#door form").requestSubmit();
