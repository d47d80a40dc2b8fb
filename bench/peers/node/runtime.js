// The loop of a function. Lambda's own client of the runtime API (aws-lambda-ric) does the same, and more: it is a
// native module that a machine without CMake and libtool cannot build. What is measured of Node.js is so a little
// better than in Lambda.

import { Agent, request } from "node:http";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const options = { host, port, agent, method, path: `/2018-06-01/runtime/${path}` };
    const sent = request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Serves events with the handler, one after another. */
export async function run(handler) {
  for (;;) {
    const { headers, body } = await call("GET", "invocation/next");
    const id = headers["lambda-runtime-aws-request-id"];
    try {
      const reply = await handler(JSON.parse(body));
      await call("POST", `invocation/${id}/response`, JSON.stringify(reply));
    } catch (error) {
      const report = { errorType: error.name, errorMessage: error.message };
      await call("POST", `invocation/${id}/error`, JSON.stringify(report));
    }
  }
}
