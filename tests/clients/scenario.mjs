// What scenario.py says, for the TypeScript SDKs; and what their scripts have in common.

const OWN_LIMIT_MS = 500;
const UPDATE_LIMIT_MS = 10_000;
const NOTE = "shelf://note";

const tokenOf = (result) => result._meta["asyncfc/future"].token;

// A player has names(), call(tool, arguments, limitMs), read(uri), prompt(name, arguments) and watch(uri), which
// gives { updated: Promise, close() }.
export async function play(player) {
  const report = { ...(await player.names()), inline: await player.call("echo", { text: "hello" }) };
  report.pending = await player.call("hold", { key: "a" });
  const token = tokenOf(report.pending);
  report.running = await player.read(`future://${token}`);
  report.passed_on = await player.call("echo", { text: token });
  const watch = await player.watch(`future://${token}`);
  await player.call("release", { key: "a" });
  report.updated = await within(watch.updated, UPDATE_LIMIT_MS);
  await watch.close();
  report.awaited = await player.call("await_future", { futures: [tokenOf(report.passed_on)] });
  report.settled = await player.read(`future://${token}`);
  report.note = await player.read(NOTE);
  report.greeting = await player.prompt("greet", { name: "Ada" });
  const unwanted = tokenOf(await player.call("hold", { key: "b", _wait_s: 0 }));
  report.cancelled = await player.call("cancel_future", { futures: [unwanted] });
  try {
    await player.call("destroy", { key: "c" }, OWN_LIMIT_MS);
  } catch (error) {
    report.own_limit = `${error.name}: ${error.message}`;
  }
  await player.call("release", { key: "c" });
  await player.call("started", { key: "c", _wait_s: 20 });
  report.left = await player.call("list_futures", {});
  return report;
}

async function within(promise, limitMs) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, limitMs, false)));
  const came = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return came;
}

export async function namesOf(client) {
  return {
    tools: (await client.listTools()).tools.map((tool) => tool.name),
    resources: (await client.listResources()).resources.map((resource) => resource.uri),
    prompts: (await client.listPrompts()).prompts.map((prompt) => prompt.name),
  };
}

// Collects the updates that arrive as notifications, whatever they were asked for with.
export class Updates {
  #waiting = new Map();

  seen(uri) {
    this.#waiting.get(uri)?.();
  }

  of(uri) {
    return new Promise((resolve) => this.#waiting.set(uri, resolve));
  }
}
