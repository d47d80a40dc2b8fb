import { WebSocketClient } from "aws-websocket-client";

// Asked before each connection, so that the token is fresh. Without tokens, the URL alone will do.
const client = new WebSocketClient(async () => {
  const response = await fetch("/socket");
  const { url, token } = await response.json();
  return { url, protocols: ["bearer", token] };
});

client.on("state", ({ name }) => console.log(name));
client.on("message", ({ channel, message, sentAt }) => console.log(channel, message, new Date(sentAt)));
client.on("gap", ({ channel }) => console.log(`Load ${channel} anew: something may be missing.`));
client.on("error", ({ message }) => console.error(message));

await client.subscribe("orders.4711");
const { delivered } = await client.send("orders.4711", { status: "packed" });
console.log(`${delivered} connections have it.`);
