import { WebSocketClient } from "./websocket-client.js";

const client = new WebSocketClient("wss://…");
client.on("message", ({ channel, principal, message }) => console.log(channel, principal, message));
await client.subscribe("orders.4711", { since: 0 }); // with all that the history holds
await client.send("orders.4711", { status: "packed" });
