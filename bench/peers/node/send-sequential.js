// send, as most tutorials have it: a post, and when it is answered the next.

import { ack, frame, members, post } from "./connections.js";
import { run } from "./runtime.js";

run(async (event) => {
  const { channel = "*", message } = JSON.parse(event.body);
  const data = frame(event, channel, message);
  const counts = { delivered: 0, gone: 0, failed: 0 };
  for await (const connectionId of members(channel)) await post(channel, connectionId, data, counts);
  return ack(event, counts);
});
