// Plays the scenario of scenario.py with the TypeScript SDK 1.x: `node typescript_sdk.mjs COMMAND ARGS`.
// ASYNCFC_TEST_NPM names the folder whose node_modules has the SDK.

import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const require = createRequire(path.join(process.env.ASYNCFC_TEST_NPM, "any.js"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");

const OWN_LIMIT_MS = 500;
const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: "asyncfc-test-typescript", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));

const call = (name, values, options) => client.callTool({ name, arguments: values }, undefined, options);
const tokenOf = (result) => result._meta["asyncfc/future"].token;

const report = { tools: (await client.listTools()).tools.map((tool) => tool.name) };
report.inline = await call("echo", { text: "hello" });
report.pending = await call("hold", { key: "a" });
report.passed_on = await call("echo", { text: tokenOf(report.pending) });
await call("release", { key: "a" });
report.awaited = await call("await_future", { futures: [tokenOf(report.passed_on)] });
const unwanted = await call("hold", { key: "b" });
report.cancelled = await call("cancel_future", { futures: [tokenOf(unwanted)] });
try {
  await call("destroy", { key: "c" }, { timeout: OWN_LIMIT_MS });
} catch (error) {
  report.own_limit = `${error.name}: ${error.message}`;
}
await call("release", { key: "c" });
await call("started", { key: "c", _wait_s: 20 });
report.left = await call("list_futures", {});
await client.close();
console.log(JSON.stringify(report));
