import { WebSocketClient } from "aws-websocket-client";

const client = new WebSocketClient("wss://…"); // the websocket_url
client.on("message", ({ channel, message }) => console.log(channel, message));
await client.subscribe("orders.4711", { since: 0 }); // with what the history holds
await client.send("orders.4711", { status: "packed" });
