// The connections of a channel, and the way to them.

import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";

import {
  ApiGatewayManagementApiClient,
  GoneException,
  PostToConnectionCommand,
} from "@aws-sdk/client-apigatewaymanagementapi";
import { DeleteItemCommand, DynamoDBClient, paginateQuery } from "@aws-sdk/client-dynamodb";
import { NodeHttpHandler } from "@smithy/node-http-handler";

/** How many posts are under way at once. */
export const CONCURRENCY = 128;

const table = process.env.CONNECTION_TABLE;
const dynamodb = new DynamoDBClient({});
const sockets = { keepAlive: true, maxSockets: CONCURRENCY };
const api = new ApiGatewayManagementApiClient({
  requestHandler: new NodeHttpHandler({ httpAgent: new HttpAgent(sockets), httpsAgent: new HttpsAgent(sockets) }),
});

/** The ids of the connections in the channel, page after page, without those whose row has expired. */
export async function* members(channel) {
  const query = {
    TableName: table,
    ConsistentRead: true,
    KeyConditionExpression: "channel = :channel",
    FilterExpression: "expiresAt > :now",
    ProjectionExpression: "connectionId",
    ExpressionAttributeValues: {
      ":channel": { S: `${channel}#0` },
      ":now": { N: String(Math.floor(Date.now() / 1000)) },
    },
  };
  for await (const page of paginateQuery({ client: dynamodb }, query)) {
    for (const item of page.Items) yield item.connectionId.S;
  }
}

/** Posts to one connection, and counts what became of it. One that is gone is taken out of the channel. */
export async function post(channel, connectionId, data, counts) {
  try {
    await api.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: data }));
    counts.delivered += 1;
  } catch (error) {
    if (error instanceof GoneException) {
      counts.gone += 1;
      const key = { channel: { S: `${channel}#0` }, connectionId: { S: connectionId } };
      await dynamodb.send(new DeleteItemCommand({ TableName: table, Key: key }));
    } else {
      counts.failed += 1;
      console.warn("post failed", connectionId, error.name);
    }
  }
}

/** What the recipients hear: serialised once. */
export function frame(event, channel, message) {
  const { connectionId, messageId, requestTimeEpoch } = event.requestContext;
  const frame = { type: "message", id: messageId, channel, from: connectionId, message, sentAt: requestTimeEpoch };
  return Buffer.from(JSON.stringify(frame));
}

/** What the sender hears. */
export function ack(event, counts) {
  const { messageId, requestId } = event.requestContext;
  return { statusCode: 200, body: JSON.stringify({ type: "ack", id: messageId, requestId, ...counts }) };
}
