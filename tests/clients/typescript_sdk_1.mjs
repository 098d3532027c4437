// Plays the scenario with the TypeScript SDK 1.x: `node typescript_sdk_1.mjs stdio COMMAND ARGS` or `... http|sse URL`.
// ASYNCFC_TEST_NPM names the folder whose node_modules has the SDK.

import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

import { namesOf, play, Updates } from "./scenario.mjs";

const require = createRequire(path.join(process.env.ASYNCFC_TEST_NPM, "any.js"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { SSEClientTransport } = require("@modelcontextprotocol/sdk/client/sse.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { ResourceUpdatedNotificationSchema } = require("@modelcontextprotocol/sdk/types.js");

const transports = {
  stdio: (command, ...args) => new StdioClientTransport({ command, args, env: process.env }),
  http: (url) => new StreamableHTTPClientTransport(new URL(url)),
  sse: (url) => new SSEClientTransport(new URL(url)),
};
const [door, ...where] = process.argv.slice(2);
const updates = new Updates();
const client = new Client({ name: "asyncfc-test-typescript", version: "1" });
client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => updates.seen(params.uri));
await client.connect(transports[door](...where));

const report = await play({
  names: () => namesOf(client),
  call: (name, values, timeout) => client.callTool({ name, arguments: values }, undefined, { timeout }),
  read: (uri) => client.readResource({ uri }),
  prompt: (name, values) => client.getPrompt({ name, arguments: values }),
  async watch(uri) {
    const updated = updates.of(uri);
    await client.subscribeResource({ uri });
    return { updated, close: () => client.unsubscribeResource({ uri }) };
  },
});
await client.close();
console.log(JSON.stringify(report));
