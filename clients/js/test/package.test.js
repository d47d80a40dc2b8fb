// What is published.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const TOOLS = join(PACKAGE, "node_modules/.bin");
const LARGEST_CORE = 6 * 1_024;

const run = promisify(execFile);
let folder;
let tarball;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "client-"));
  await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: PACKAGE });
  [tarball] = (await readdir(folder)).map((name) => join(folder, name));
});

test("the package is one that tools understand", async () => {
  await run(join(TOOLS, "publint"), ["--strict", tarball]);
  await run(join(TOOLS, "attw"), [tarball, "--profile", "esm-only"]);
});

test("its types are those of its source", async () => {
  const installed = join(folder, "node_modules/aws-websocket-client");
  await mkdir(installed, { recursive: true });
  await run("tar", ["-xzf", tarball, "-C", installed, "--strip-components", "1"]);
  await writeFile(join(folder, "app.mts"), `
    import { Presence, RequestError, WebSocketClient, type Message } from "aws-websocket-client";
    import { FakeServer } from "aws-websocket-client/testing";

    const server = new FakeServer();
    const client = new WebSocketClient(async () => ({ url: "wss://…", protocols: ["bearer", "token"] }), { WebSocket: server.WebSocket });
    const off: () => void = client.channel("orders").on("message", ({ seq, message }: Message) => console.log(seq, message));
    const { delivered }: { delivered: number } = await client.channel("orders").send({ status: "packed" }, { echo: false });
    for await (const { sentAt } of client.channel("orders")) if (new Date(sentAt)) break;
    new Presence(client, "orders").on("change", (people) => people.map(({ id }) => id.length));
    // @ts-expect-error there is no such event
    client.on("mesage", () => {});
    export default [off, delivered, RequestError];
  `);
  const options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom", "--types", ""];
  await run(join(TOOLS, "tsc"), [...options, "app.mts"], { cwd: folder });
});

test("it has the version of the functions that it works with", async () => {
  const manifest = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
  const workspace = await readFile(join(PACKAGE, "../../Cargo.toml"), "utf8");
  assert.match(workspace, new RegExp(`^version = "${manifest.version}"$`, "m"));
});

test("the client alone is small", async () => {
  const contents = 'export { WebSocketClient } from "./src/index.js";';
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: PACKAGE },
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
  });
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  assert.ok(size <= LARGEST_CORE, `${size} bytes`);
  assert.doesNotMatch(outputFiles[0].text, /connectedAt/, "without the parts that are not used");
});
