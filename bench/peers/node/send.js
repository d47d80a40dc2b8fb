// send: posts a message to every connection of a channel, many at once.

import { ack, CONCURRENCY, frame, members, post } from "./connections.js";
import { run } from "./runtime.js";

run(async (event) => {
  const { channel = "*", message } = JSON.parse(event.body);
  const data = frame(event, channel, message);
  const counts = { delivered: 0, gone: 0, failed: 0 };
  const recipients = members(channel);
  const worker = async () => {
    // One iterator for all workers: a generator queues those who ask for its next value.
    for (let next = await recipients.next(); !next.done; next = await recipients.next()) {
      await post(channel, next.value, data, counts);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return ack(event, counts);
});
