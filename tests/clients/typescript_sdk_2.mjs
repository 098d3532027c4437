// Plays the scenario with the TypeScript SDK 2.x: `node typescript_sdk_2.mjs ERA stdio COMMAND ARGS` or
// `... ERA http|sse URL`. ASYNCFC_TEST_NPM names the folder whose node_modules has the SDK.

import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

import { namesOf, play, Updates } from "./scenario.mjs";

const require = createRequire(path.join(process.env.ASYNCFC_TEST_NPM, "any.js"));
const { Client, SSEClientTransport, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");

const transports = {
  stdio: (command, ...args) => new StdioClientTransport({ command, args, env: process.env }),
  http: (url) => new StreamableHTTPClientTransport(new URL(url)),
  sse: (url) => new SSEClientTransport(new URL(url)),
};
const [era, door, ...where] = process.argv.slice(2);
const updates = new Updates();
const client = new Client(
  { name: "asyncfc-test-typescript", version: "2" },
  { versionNegotiation: { mode: era } },
);
client.setNotificationHandler("notifications/resources/updated", ({ params }) => updates.seen(params.uri));
await client.connect(transports[door](...where));
const isModern = client.getProtocolEra() === "modern";

const report = await play({
  names: () => namesOf(client),
  call: (name, values, timeout) => client.callTool({ name, arguments: values }, { timeout }),
  read: (uri) => client.readResource({ uri }),
  prompt: (name, values) => client.getPrompt({ name, arguments: values }),
  async watch(uri) {
    const updated = updates.of(uri);
    if (isModern) {
      const subscription = await client.listen({ resourceSubscriptions: [uri] });
      return { updated, close: () => subscription.close() };
    }
    await client.subscribeResource({ uri });
    return { updated, close: () => client.unsubscribeResource({ uri }) };
  },
});
await client.close();
console.log(JSON.stringify(report));
