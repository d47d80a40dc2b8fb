import { useState } from "react";
import { WebSocketClient } from "aws-websocket-client";
import { useChannel, useConnectionState, usePresence } from "aws-websocket-client/react";

const client = new WebSocketClient("wss://…"); // the websocket_url

export function Room({ name = "lobby" }) {
  const [messages, setMessages] = useState(/** @type {string[]} */ ([]));
  const { name: state } = useConnectionState(client);
  const people = usePresence(client, name);
  const { channel, error } = useChannel(client, name, ({ message }) => setMessages((before) => [...before, message]), { since: 0 });
  if (error) return <p>You cannot enter {name}.</p>;
  return (
    <>
      <p>{state}, {people.length} here</p>
      <ol>{messages.map((message, index) => <li key={index}>{message}</li>)}</ol>
      <button onClick={() => channel.send("Hello")}>Say hello</button>
    </>
  );
}
