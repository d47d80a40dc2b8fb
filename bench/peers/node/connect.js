// $connect: puts the connection into the table.

import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";

import { run } from "./runtime.js";

const dynamodb = new DynamoDBClient({});
const LIFETIME_SECONDS = 2 * 60 * 60 + 10 * 60;

run(async (event) => {
  const { connectionId, connectedAt, identity } = event.requestContext;
  const item = {
    channel: { S: "*#0" },
    connectionId: { S: connectionId },
    connectedAt: { N: String(connectedAt) },
    expiresAt: { N: String(Math.floor(connectedAt / 1000) + LIFETIME_SECONDS) },
    sourceIp: { S: identity.sourceIp },
    userAgent: { S: identity.userAgent },
  };
  await dynamodb.send(new PutItemCommand({ TableName: process.env.CONNECTION_TABLE, Item: item }));
  return { statusCode: 200 };
});
