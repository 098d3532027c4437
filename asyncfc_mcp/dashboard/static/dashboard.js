// The dashboard: reads the events of one gateway and draws its calls. Text of servers goes into text nodes alone.

const MOST_CALLS = 2000; // as many as the gateway keeps
const TRIM_AT = 2200; // trimmed in steps, so that the drawing does not shift with every call
const LANE = 27, BAR = 19, BAND_PAD = 8, LEAST_BAND = 52;
const LEAST_RUN = 4, RING = 3; // of a bar, however short the call was, and around it
const FOLD_AFTER_S = 2.5, FOLD_PX = 40, LEAD_S = 0.3;
const ZOOMS = [2, 4, 8, 14, 22, 32, 45, 64, 90, 130, 190, 280, 420];
const MOST_EDGES = 160; // more than these are drawn for the selected call alone
const CROWD = 400; // of one server: beyond that names stand inside of bars alone
const ROWS_AT_FIRST = 200;
const SETTLED = new Set(["resolved", "failed", "cancelled"]);
const GROUPS = [
  ["running", "Running", ["running"]],
  ["pending", "Waiting", ["pending"]],
  ["input_required", "Waits for you", ["input_required"]],
  ["resolved", "Resolved", ["resolved"]],
  ["failed", "Failed", ["failed"]],
  ["cancelled", "Cancelled", ["cancelled", "cancelling"]],
];
const WORDS = { input_required: "waits for you", pending: "waiting" };

const byId = (id) => document.getElementById(id);
const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
const isStill = matchMedia("(prefers-reduced-motion: reduce)");

function make(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function put(element, attributes) {
  const known = (element.known ??= {});
  for (const key in attributes) {
    if (known[key] === attributes[key]) continue;
    known[key] = attributes[key];
    element.setAttribute(key, attributes[key]);
  }
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function seconds(value) {
  if (value < 0.0995) return `${Math.max(0, Math.round(value * 1000))} ms`;
  if (value < 99.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false });
const inWords = (state) => WORDS[state] ?? state;

// What is known

const model = { calls: new Map(), servers: [], settings: null, gateway: null, saved: null, ahead_s: 0 };
const view = {
  server: "", scope: "", states: new Set(), zoom: null, follows: true, isPaused: false, pausedAt: 0,
  selected: null, active: null, isTable: false, rows: ROWS_AT_FIRST,
};
let waitingUpdates = [];

function now() {
  return view.isPaused ? view.pausedAt : Date.now() / 1000 + model.ahead_s;
}

const isOfAnotherRun = (update) => update.gateway && update.gateway.instance !== model.gateway?.instance;

function take(update) {
  if (isOfAnotherRun(update)) {
    model.calls.clear();
    view.selected = view.active = null;
  }
  model.gateway = update.gateway ?? model.gateway;
  model.ahead_s = update.now_s - Date.now() / 1000;
  for (const span of update.spans) {
    const before = model.calls.get(span.number);
    model.calls.set(span.number, span);
    if (before && before.state !== span.state) announce(span);
  }
  if (model.calls.size > TRIM_AT) {
    const calls = [...model.calls.values()];
    const known = [...calls.filter((call) => call.settled_s !== null), ...calls.filter((call) => call.settled_s === null)];
    for (const call of known.slice(0, known.length - MOST_CALLS)) model.calls.delete(call.number);
  }
  model.saved = update.saved;
  if (update.servers) model.servers = update.servers;
  if (update.settings) model.settings = update.settings;
  changed();
}

function shown() {
  const allowed = new Set(GROUPS.filter(([key]) => view.states.has(key)).flatMap(([, , states]) => states));
  return [...model.calls.values()].filter((call) =>
    (!view.server || call.server === view.server) && (!view.scope || call.scope === view.scope) &&
    (!allowed.size || allowed.has(call.state)));
}

// The connection

let source = null;
let retryMs = 1000;

function listen() {
  source?.close();
  if (document.hidden) return; // browsers open six connections to one place: tabs that nobody sees must not hold them
  const own = source = new EventSource("/dashboard/events");
  own.onopen = () => { retryMs = 1000; };
  own.addEventListener("snapshot", (event) => receive(JSON.parse(event.data)));
  own.addEventListener("changes", (event) => receive(JSON.parse(event.data)));
  own.onerror = async () => {
    state("lost", "Lost, trying again");
    if (own.readyState !== EventSource.CLOSED || own !== source) return; // the browser tries again by itself
    if ((await reaches()) === 401) return lock("This gateway does not know the page any more: it was started anew. Its new address is printed by this command:");
    setTimeout(listen, retryMs);
    retryMs = Math.min(2 * retryMs, 15000);
  };
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) source?.close();
  else if (!byId("board").hidden) listen();
});

async function reaches() {
  try {
    return (await fetch("/dashboard/session", { cache: "no-store" })).status;
  } catch {
    return 0;
  }
}

function receive(update) {
  if (byId("board").hidden) unlock();
  if (view.isPaused && !isOfAnotherRun(update)) {
    waitingUpdates.push(update);
    if (waitingUpdates.length > 2000) waitingUpdates = [merged(waitingUpdates)];
  } else {
    waitingUpdates = [];
    take(update);
  }
  state(view.isPaused ? "paused" : "live", view.isPaused ? "Paused" : "Live");
}

function merged(updates) {
  const spans = new Map(updates.flatMap((update) => update.spans).map((span) => [span.number, span]));
  return Object.assign({}, ...updates, { spans: [...spans.values()] });
}

function state(key, text) {
  byId("connection").dataset.state = key;
  say(byId("connection-text"), text);
}

async function open(token) {
  const answer = await fetch("/dashboard/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  return answer.status === 204;
}

function lock(why) {
  source?.close();
  state("lost", "Locked");
  say(byId("locked-why"), why);
  byId("board").hidden = true;
  byId("locked").hidden = false;
}

function unlock() {
  byId("locked").hidden = true;
  byId("board").hidden = false;
}

async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  history.replaceState(null, "", location.pathname);
  const stale = "This address was used already, or is of an earlier run of the gateway. One that opens it is printed by this command:";
  try {
    const isOpen = token !== null && (await open(token));
    if (!isOpen && (await reaches()) === 401) return lock(token ? stale : "The address that opens it is printed by this command:");
  } catch {
    state("lost", "Not reached");
  }
  unlock();
  changed();
  listen();
}

byId("unlock").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("token").value.trim();
  const token = text.includes("token=") ? text.split("token=")[1] : text;
  const isOpen = await open(token).catch(() => false);
  say(byId("unlock-fault"), isOpen ? "" : "That is not the token of this gateway.");
  byId("token").value = "";
  if (!isOpen) return byId("token").focus();
  unlock();
  listen();
  byId("calls").focus();
});

// Where things are: time folded where nothing happened, calls in lanes of their server

let places = { bands: [], at: new Map(), segments: [], width: 0, height: 0, calls: [] };

function segmentsOf(calls, end) {
  const found = [];
  for (const call of calls) {
    const from = call.arrived_s - LEAD_S;
    const to = (call.settled_s ?? end) + LEAD_S;
    const last = found.at(-1);
    if (last && from - last.to < FOLD_AFTER_S) last.to = Math.max(last.to, to);
    else found.push({ from, to });
  }
  const last = found.at(-1);
  if (last) last.to = Math.min(Math.max(last.to, end), last.to + FOLD_AFTER_S);
  return found;
}

function spread(segments, scale) {
  let x = 12;
  for (const segment of segments) {
    segment.x = x;
    x += (segment.to - segment.from) * scale + FOLD_PX;
  }
  return segments.length ? x - FOLD_PX : 0;
}

function xOf(at) {
  const { segments, scale } = places;
  let low = 0, high = segments.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (segments[middle].from <= at) low = middle;
    else high = middle - 1;
  }
  const segment = segments[low];
  if (!segment) return 0;
  return segment.x + Math.max(0, Math.min(at, segment.to) - segment.from) * scale;
}

function fittingScale(segments) {
  const room = Math.max(240, byId("chart").clientWidth - byId("gutter").offsetWidth - 60);
  const busy = segments.slice(-6).reduce((sum, one) => sum + one.to - one.from, 0);
  const wanted = (room - FOLD_PX * Math.min(5, segments.length - 1)) / Math.max(5, Math.min(busy, 40));
  return ZOOMS.findLast((one) => one <= wanted) ?? ZOOMS[0];
}

const measured = new Map();
const pen = document.createElement("canvas").getContext("2d");

function widthOf(text) {
  if (!measured.has(text)) {
    pen.font = '600 11.5px "Inter", "Segoe UI", system-ui, sans-serif';
    measured.set(text, pen.measureText(text).width);
  }
  return measured.get(text);
}

function arrange() {
  const calls = shown();
  const end = now();
  const segments = segmentsOf(calls, end);
  const scale = view.zoom ?? fittingScale(segments);
  places = { bands: [], at: new Map(), segments, scale, calls, width: 0, height: 0 };
  places.width = Math.max(spread(segments, scale) + 90, byId("chart").clientWidth - byId("gutter").offsetWidth - 2);
  const known = model.servers.map((server) => server.key);
  const keys = [...new Set([...known, ...calls.map((call) => call.server)])];
  const of = new Map(keys.map((key) => [key, []]));
  for (const call of calls) of.get(call.server).push(call);
  let y = 0;
  for (const key of keys) {
    const own = of.get(key);
    const server = model.servers.find((one) => one.key === key);
    if (!own.length && calls.length && server?.state === "ready") continue;
    const lanes = pack(own, y);
    const height = Math.max(LEAST_BAND, lanes * LANE + 2 * BAND_PAD);
    if (lanes * LANE + 2 * BAND_PAD < LEAST_BAND && lanes) {
      const drop = (LEAST_BAND - lanes * LANE) / 2 - BAND_PAD;
      for (const call of own) places.at.get(call.number).y += drop;
    }
    places.bands.push({ key, server, y, height, calls: own });
    y += height;
  }
  places.height = Math.max(y, 60);
}

/** How far the name of a settled call stands out behind its bar. */
function overhang(call) {
  const runs = call.started_s === null ? 0 : xOf(call.settled_s) - xOf(call.started_s);
  const needs = widthOf(call.tool) + (call.state === "resolved" ? 0 : 16);
  return runs > needs + 14 ? 0 : needs + 48;
}

/** The lane of each call, so that none overlaps another of its lane; and how many lanes there are. */
function lanesOf(calls, hasNames) {
  const free = [], chosen = [];
  for (const call of calls) {
    const x = xOf(call.arrived_s);
    let lane = free.findIndex((until) => until <= x);
    if (lane < 0) lane = free.length;
    const starts = call.started_s === null ? x : xOf(call.started_s);
    const end = call.settled_s === null ? Infinity : Math.max(starts + LEAST_RUN, xOf(call.settled_s));
    free[lane] = end + 2 * RING + 2 + (hasNames ? overhang(call) : 0);
    chosen.push(lane);
  }
  return [chosen, free.length];
}

function pack(calls, top) {
  const [bareLanes, bareCount] = lanesOf(calls, false);
  const [namedLanes, namedCount] = calls.length > CROWD ? [[], Infinity] : lanesOf(calls, true);
  const isBare = namedCount > Math.max(8, 2 * bareCount); // names would take more room than they are worth
  calls.forEach((call, index) => {
    const lane = (isBare ? bareLanes : namedLanes)[index];
    places.at.set(call.number, { x: xOf(call.arrived_s), y: top + BAND_PAD + lane * LANE + (LANE - BAR) / 2, isBare });
  });
  return isBare ? bareCount : namedCount;
}

// Drawing

let bars = new Map();
let isDirty = false;
let lastDrawn = 0;

function changed() {
  isDirty = true;
}

function draw() {
  arrange();
  const chart = byId("chart"), world = byId("world");
  put(world, { width: places.width, height: places.height });
  put(byId("axis"), { width: places.width, height: 58 });
  const nowX = xOf(now());
  put(byId("now"), { x1: nowX, x2: nowX, y1: 0, y2: places.height });
  if (view.follows) chart.scrollLeft = nowX + 70 - (chart.clientWidth - byId("gutter").offsetWidth);
  drawBands();
  drawBars();
  drawEdges();
  drawAxis();
  drawGutter();
  drawEmpty();
}

function inView() {
  const chart = byId("chart");
  const slack = 300;
  return { from: chart.scrollLeft - slack, to: chart.scrollLeft + chart.clientWidth + slack };
}

function drawBands() {
  const group = byId("bands");
  const parts = [];
  places.bands.forEach((band, index) => {
    const ground = svg("rect");
    put(ground, { class: index % 2 ? "band odd" : "band", x: 0, y: band.y, width: places.width, height: band.height });
    parts.push(ground);
  });
  for (const segment of places.segments.slice(1)) {
    const fold = svg("rect");
    put(fold, { class: "fold", x: segment.x - FOLD_PX + 6, y: 0, width: FOLD_PX - 12, height: places.height });
    parts.push(fold);
  }
  for (const band of places.bands.slice(1)) {
    const line = svg("line");
    put(line, { class: "band-line", x1: 0, x2: places.width, y1: band.y + 0.5, y2: band.y + 0.5 });
    parts.push(line);
  }
  for (const tick of ticks()) {
    const line = svg("line");
    put(line, { class: "grid", x1: tick.x, x2: tick.x, y1: 0, y2: places.height });
    parts.push(line);
  }
  group.replaceChildren(...parts);
}

function drawBars() {
  const { from, to } = inView();
  const end = now();
  const kept = new Map();
  const related = relatives();
  const groups = new Map();
  places.calls.forEach((call, index) => {
    const place = places.at.get(call.number);
    const xEnd = xOf(call.settled_s ?? end);
    if ((xEnd < from || place.x > to) && call.number !== view.active) return;
    const bar = bars.get(call.number) ?? newBar(call.number);
    const looks = `${place.x} ${place.y} ${xEnd} ${place.isBare} ${call.number === view.selected}`;
    if (bar.call !== call || bar.looks !== looks || call.settled_s === null) {
      [bar.call, bar.looks] = [call, looks];
      paint(bar, call, place, xEnd, end);
    }
    put(bar.group, { "aria-posinset": index + 1, "aria-setsize": places.calls.length });
    bar.group.classList.toggle("selected", call.number === view.selected);
    bar.group.classList.toggle("active", call.number === view.active);
    bar.group.classList.toggle("related", related.has(call.number));
    put(bar.group, { "aria-selected": String(call.number === view.selected) });
    kept.set(call.number, bar);
    if (!groups.has(call.server)) groups.set(call.server, []);
    groups.get(call.server).push(bar.group);
  });
  for (const [number, bar] of bars) if (!kept.has(number)) bar.group.remove();
  bars = kept;
  byId("world").classList.toggle("choosing", view.selected !== null);
  hang(groups);
}

const holders = new Map();

function hang(groups) {
  for (const [server, children] of groups) {
    if (!holders.has(server)) {
      const holder = svg("g");
      put(holder, { role: "group", "aria-label": `Server ${server}` });
      holders.set(server, holder);
    }
    const holder = holders.get(server);
    for (const child of children) if (child.parentNode !== holder) holder.append(child);
    if (!holder.parentNode) byId("bars").append(holder);
  }
  for (const [server, holder] of holders) if (!groups.has(server)) holder.remove();
}

function newBar(number) {
  const group = svg("g");
  const wait = svg("rect"), run = svg("rect"), ring = svg("rect"), text = svg("text");
  const name = svg("tspan"), took = svg("tspan");
  put(wait, { class: "wait", height: BAR });
  put(run, { class: "run", height: BAR });
  put(ring, { class: "ring", height: BAR + 2 * RING });
  put(took, { class: "took", dx: 6 });
  text.append(name, took);
  group.append(wait, run, ring, text);
  put(group, { class: "call", role: "option", id: `call-${number}`, "data-number": number });
  group.addEventListener("click", () => choose(number));
  return { group, wait, run, ring, text, name, took };
}

function paint(bar, call, place, xEnd, end) {
  const xStart = call.started_s === null ? xEnd : xOf(call.started_s);
  const waits = Math.max(0, xStart - place.x);
  const isUnstarted = call.started_s === null;
  const runs = isUnstarted ? 0 : Math.max(LEAST_RUN, xEnd - xStart);
  const isWaitShown = waits > 2 || isUnstarted;
  const wait = call.needs.length && /value of/.test(call.waited_for || call.why) ? "data"
    : call.behind.length || call.waited_for ? "order" : "none";
  put(bar.group, { "data-state": call.state, "data-wait": wait, "aria-label": spoken(call, end) });
  put(bar.wait, { x: place.x, y: place.y, width: isWaitShown ? Math.max(LEAST_RUN, isUnstarted ? waits : waits + 4) : 0 });
  put(bar.run, { x: xStart, y: place.y, width: runs });
  const wide = isUnstarted ? Math.max(LEAST_RUN, waits) : xStart + runs - place.x;
  put(bar.ring, { x: place.x - RING, y: place.y - RING, width: wide + 2 * RING });
  letter(bar, call, place, { xStart, runs, waits: isWaitShown ? waits : 0, xEnd, end });
}

function letter(bar, call, place, { xStart, runs, waits, xEnd, end }) {
  const mark = { failed: "✕ ", input_required: "? ", cancelled: "⊘ " }[call.state] ?? "";
  const name = mark + call.tool;
  const took = call.started_s === null ? "" : seconds((call.settled_s ?? end) - call.started_s);
  const needs = widthOf(name), both = needs + widthOf(took) + 8;
  let x, isInside = false, isTold = false;
  if (runs > needs + 14) {
    x = xStart + 8;
    isInside = true;
    isTold = runs > both + 16;
  } else if (call.started_s === null && waits > needs + 14) {
    x = place.x + 8;
  } else {
    x = Math.max(xEnd, place.x + 4) + 6;
    isTold = SETTLED.has(call.state);
  }
  const isCrowded = place.isBare && !isInside && call.number !== view.selected;
  say(bar.name, isCrowded ? "" : name);
  say(bar.took, isTold && !isCrowded ? took : "");
  const display = isCrowded ? "none" : "inline"; // an empty text would stretch the call's box to the far left
  put(bar.text, { x, y: place.y + BAR / 2 + 4, class: isInside ? "inside" : "", display });
}

function spoken(call, end) {
  const parts = [`Call ${call.number}, ${call.tool} on ${call.server}, ${inWords(call.state)}`];
  if (call.failure) parts.push(call.failure.replaceAll("_", " "));
  if (call.why) parts.push(`waits ${call.why}`);
  else if (call.started_s !== null && call.settled_s !== null) parts.push(`ran ${seconds(call.settled_s - call.started_s)}`);
  if (call.needs.length) parts.push(`needs ${call.needs.map((one) => `call ${one}`).join(" and ")}`);
  return parts.join(", ");
}

function relatives() {
  const found = new Set();
  if (view.selected === null) return found;
  const reach = (number, next) => {
    if (found.has(`${next.name}${number}`)) return;
    found.add(`${next.name}${number}`);
    found.add(number);
    for (const one of next(number)) reach(one, next);
  };
  const before = (number) => [...(model.calls.get(number)?.needs ?? []), ...(model.calls.get(number)?.behind ?? [])];
  const after = (number) => places.calls.filter((one) => one.needs.includes(number) || one.behind.includes(number)).map((one) => one.number);
  reach(view.selected, before);
  reach(view.selected, after);
  return found;
}

function drawEdges() {
  const { from, to } = inView();
  const related = relatives();
  const wanted = [];
  for (const call of places.calls) {
    for (const [kind, others] of [["order", call.behind], ["data", call.needs]]) {
      for (const other of others) {
        if (kind === "order" && call.needs.includes(other)) continue;
        const earlier = model.calls.get(other);
        const start = places.at.get(other), place = places.at.get(call.number);
        if (!earlier || !start) continue;
        const x1 = xOf(earlier.settled_s ?? now());
        const x2 = call.started_s !== null ? xOf(call.started_s) : xOf(call.settled_s ?? now());
        if (Math.max(x1, x2) < from || Math.min(x1, x2) > to) continue;
        const isRelated = related.has(call.number) && related.has(other);
        wanted.push({ kind, x1, x2, y1: start.y + BAR / 2, y2: place.y + BAR / 2, isRelated, key: `${other}-${call.number}` });
      }
    }
  }
  const few = wanted.length > MOST_EDGES ? wanted.filter((edge) => edge.isRelated).slice(0, MOST_EDGES) : wanted;
  byId("edges").replaceChildren(...few.sort((one, other) => one.isRelated - other.isRelated).flatMap(edgePaths));
}

function edgePaths({ kind, x1, x2, y1, y2, isRelated, key }) {
  const bend = Math.min(30, Math.max(12, Math.abs(y2 - y1) / 4));
  const tip = Math.max(x2, x1 - 4);
  const line = `M${x1} ${y1} C${x1 + bend} ${y1} ${tip - bend} ${y2} ${tip} ${y2}`;
  const d = `${line} M${tip - 5.5} ${y2 - 4} L${tip} ${y2} L${tip - 5.5} ${y2 + 4}`;
  return (kind === "data" ? ["halo", kind] : [kind]).map((name) => {
    const path = svg("path");
    put(path, { class: `edge ${name}${isRelated ? " related" : ""}`, d });
    if (name === kind) put(path, { "data-edge": key });
    return path;
  });
}

function step(scale) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
  return steps.find((one) => one * scale >= 62) ?? 7200;
}

function ticks() {
  const { from, to } = inView();
  const every = step(places.scale);
  const found = [];
  for (const segment of places.segments) {
    const begins = segment.from + LEAD_S;
    const most = Math.floor((segment.to - begins) / every);
    const first = Math.max(0, Math.floor((from - segment.x) / places.scale / every) - 1);
    for (let index = first; index <= most; index++) {
      const x = segment.x + (LEAD_S + index * every) * places.scale;
      if (x > to) break;
      if (x >= from) found.push({ x, text: index ? `+${seconds(index * every).replace(".0 s", " s")}` : clock(begins), isClock: !index });
    }
  }
  return found;
}

function drawAxis() {
  const parts = [loadPath()];
  let until = -Infinity;
  for (const tick of ticks()) {
    if (!tick.isClock && tick.x < until + 8) continue;
    const text = svg("text"), line = svg("line");
    put(text, { x: tick.x + (tick.isClock ? 0 : 3), y: 14, class: tick.isClock ? "clock" : "" });
    text.textContent = tick.text;
    put(line, { class: "tick", x1: tick.x, x2: tick.x, y1: 4, y2: 20 });
    if (!tick.isClock) parts.push(line);
    parts.push(text);
    until = tick.x + widthOf(tick.text);
  }
  places.segments.slice(1).forEach((segment, index) => {
    const idle = segment.from - places.segments[index].to;
    const text = svg("text");
    put(text, { x: segment.x - FOLD_PX / 2, y: 51, "text-anchor": "middle" });
    text.textContent = idle < 60 ? `${Math.round(idle)} s` : idle < 3600 ? `${Math.round(idle / 60)} min` : `${Math.round(idle / 3600)} h`;
    const fold = svg("rect");
    put(fold, { class: "fold", x: segment.x - FOLD_PX + 6, y: 22, width: FOLD_PX - 12, height: 36 });
    parts.push(fold, text);
  });
  byId("axis").replaceChildren(...parts);
}

/** How many calls ran at once, as a hill along the axis. */
function loadPath() {
  const end = now();
  const slot_s = Math.min(0.1, 4 / places.scale); // what follows on something comes a moment later
  const steps = new Map();
  const change = (at, by) => {
    const slot = Math.round(at / slot_s);
    steps.set(slot, (steps.get(slot) ?? 0) + by);
  };
  for (const call of places.calls) {
    if (call.started_s === null) continue;
    change(call.started_s, 1);
    change(call.settled_s ?? end, -1);
  }
  const slots = [...steps.keys()].sort((one, other) => one - other).filter((slot) => steps.get(slot));
  let level = 0, most = 0;
  for (const slot of slots) most = Math.max(most, (level += steps.get(slot)));
  const top = 25, bottom = 57, unit = (bottom - top) / Math.max(2, most);
  let d = `M0 ${bottom}`;
  level = 0;
  for (const slot of slots) {
    const x = xOf(slot * slot_s).toFixed(1);
    d += ` L${x} ${bottom - level * unit}`;
    level += steps.get(slot);
    d += ` L${x} ${bottom - level * unit}`;
  }
  const path = svg("path");
  put(path, { class: "load", d: `${d} L${places.width} ${bottom}` });
  say(byId("most-at-once"), most ? `up to ${most} at once` : "");
  return path;
}

function drawGutter() {
  const gutter = byId("gutter");
  while (gutter.children.length > places.bands.length) gutter.lastChild.remove();
  places.bands.forEach((band, index) => {
    let name = gutter.children[index];
    if (!name) {
      name = make("div", "", { class: "lane-name" });
      name.append(make("b"), make("small"));
      name.firstChild.append(make("span", "", { class: "health" }), document.createTextNode(""));
      gutter.append(name);
    }
    name.style.top = `${band.y}px`;
    name.style.height = `${band.height}px`;
    const health = band.server?.state ?? "gone";
    name.querySelector(".health").dataset.state = health;
    const label = name.firstChild.lastChild;
    if (label.data !== band.key) label.data = band.key;
    name.title = band.key;
    const running = band.calls.filter((call) => call.state === "running").length;
    const waiting = band.calls.filter((call) => call.state === "pending").length;
    const asking = band.calls.filter((call) => call.state === "input_required").length;
    const busy = [
      running && `${running} running`, waiting && `${waiting} waiting`, asking && `${asking} wait${asking === 1 ? "s" : ""} for you`,
    ].filter(Boolean).join(", ");
    say(name.lastChild, health !== "ready" ? health : busy || `${band.calls.length} call${band.calls.length === 1 ? "" : "s"}`);
  });
  gutter.style.height = `${places.height}px`;
}

function drawEmpty() {
  const empty = byId("empty");
  empty.hidden = places.calls.length > 0;
  const text = model.calls.size ? "No call fits the filters." : "No calls yet. They appear here as your assistant makes them.";
  say(empty, text);
  put(byId("world"), { "aria-label": places.calls.length ? "Calls on a time-line" : "No calls on the time-line" });
}

// Figures, panels, table

const tiles = new Map(GROUPS.map(([key, label]) => {
  const tile = make("button", "", { type: "button", class: "tile", "aria-pressed": "false", "data-group": key });
  const name = make("span");
  name.append(make("i", "", { class: `swatch ${key}` }), label);
  tile.append(make("b", "0"), name);
  tile.addEventListener("click", () => {
    if (!view.states.delete(key)) view.states.add(key);
    tile.setAttribute("aria-pressed", String(view.states.has(key)));
    changed();
  });
  byId("tiles").append(tile);
  return [key, tile];
}));

function drawFigures() {
  const counts = {};
  for (const call of model.calls.values()) {
    if ((view.server && call.server !== view.server) || (view.scope && call.scope !== view.scope)) continue;
    counts[call.state] = (counts[call.state] ?? 0) + 1;
  }
  for (const [key, , states] of GROUPS) {
    say(tiles.get(key).firstChild, String(states.reduce((sum, one) => sum + (counts[one] ?? 0), 0)));
  }
  const saved = model.saved ?? { saved_s: 0, run_s: 0, busy_s: 0 };
  say(byId("saved"), seconds(saved.saved_s));
  say(byId("run-s"), seconds(saved.run_s));
  say(byId("busy-s"), seconds(saved.busy_s));
  byId("race-row").style.width = saved.run_s ? "100%" : "0";
  byId("race-busy").style.width = saved.run_s ? `calc((100% - 64px) * ${Math.min(1, saved.busy_s / saved.run_s)})` : "0";
  if (model.gateway) {
    const { pid, transport, version, started_at } = model.gateway;
    say(byId("identity"), `${version} on ${transport}, process ${pid}, up ${seconds(now() - started_at)}`);
  }
}

function callButton(number) {
  const call = model.calls.get(number);
  const button = make("button", call ? `${number} ${call.tool}` : `call ${number}`, { type: "button" });
  button.disabled = !call;
  button.addEventListener("click", () => choose(number, true));
  return button;
}

function fact(list, name, ...values) {
  const held = make("dd");
  held.append(...values);
  list.push(make("dt", name), held);
}

function drawDetails() {
  const call = model.calls.get(view.selected);
  byId("details").hidden = !call;
  if (!call) return;
  const behind = call.behind.filter((one) => !call.needs.includes(one));
  const after = [...model.calls.values()].filter((one) => one.needs.includes(call.number) || one.behind.includes(call.number));
  const named = [...call.needs, ...behind].map((one) => model.calls.get(one)?.tool ?? null);
  const text = JSON.stringify([call, named, after.map((one) => one.number)]);
  if (byId("facts").dataset.shown !== text) {
    const held = byId("facts").contains(document.activeElement) ? document.activeElement.textContent : null;
    byId("facts").dataset.shown = text;
    say(byId("details-title"), `Call ${call.number}: ${call.tool}`);
    byId("facts").replaceChildren(...factsOf(call, behind, after));
    if (held !== null) [...byId("facts").querySelectorAll("button")].find((one) => one.textContent === held)?.focus();
  }
  // these go on all the time: the buttons beside them stay what they are
  const end = now();
  say(byId("waited"), seconds((call.started_s ?? call.settled_s ?? end) - call.arrived_s));
  if (call.started_s !== null) say(byId("ran"), seconds((call.settled_s ?? end) - call.started_s));
}

function factsOf(call, behind, after) {
  const facts = [];
  const token = make("span", call.token, { class: "token" });
  const badge = make("span", "", { class: "state" });
  badge.append(make("i", "", { class: `swatch ${call.state}` }), inWords(call.state) + (call.failure ? `: ${call.failure.replaceAll("_", " ")}` : ""));
  fact(facts, "Token", token);
  fact(facts, "State", badge);
  if (call.why) fact(facts, "Waits", call.why);
  else if (call.waited_for) fact(facts, "Waited", call.waited_for);
  fact(facts, "Server", call.server);
  fact(facts, "Scope", call.scope);
  fact(facts, "Arrived", clock(call.arrived_s));
  fact(facts, "Waiting", make("span", "", { id: "waited" }));
  if (call.started_s !== null) fact(facts, call.settled_s === null ? "Running" : "Ran", make("span", "", { id: "ran" }));
  if (call.needs.length) fact(facts, "Needs", ...call.needs.map(callButton));
  if (behind.length) fact(facts, "Behind", ...behind.map(callButton));
  if (after.length) fact(facts, "Waited on by", ...after.slice(0, 12).map((one) => callButton(one.number)));
  return facts;
}

function drawWaiting() {
  const waits = [...model.calls.values()].filter((call) => call.why && call.settled_s === null);
  const text = waits.map((call) => `${call.number}${call.why}${call.state}`).join();
  const list = byId("waiting");
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  if (!waits.length) return list.replaceChildren(make("li", "Nothing waits.", { class: "none" }));
  const items = waits.slice(0, 12).map((call) => {
    const item = make("li", "", { "data-state": call.state });
    const button = make("button", `${call.number} ${call.tool}`, { type: "button" });
    button.addEventListener("click", () => choose(call.number, true));
    item.append(button, make("p", call.why));
    return item;
  });
  if (waits.length > items.length) items.push(make("li", `and ${waits.length - items.length} more`, { class: "none" }));
  list.replaceChildren(...items);
}

function drawServers() {
  const text = JSON.stringify(model.servers);
  const list = byId("servers");
  const retries = model.servers.some((server) => server.retry_at_s !== null);
  if (list.dataset.shown === text && !retries) return;
  list.dataset.shown = text;
  list.replaceChildren(...model.servers.map((server) => {
    const item = make("li");
    item.append(make("span", "", { class: "health", "data-state": server.state }), make("h3", server.key), make("span", server.running ? `${server.running} running` : server.state, { class: "load" }));
    const facts = [`${server.tools} tool${server.tools === 1 ? "" : "s"}, ${server.labelled} with labels`];
    if (server.protocol) facts.push(server.protocol);
    item.append(make("p", facts.join(" · ")));
    if (server.message) item.append(make("p", server.message));
    const tries = [];
    if (server.attempts) tries.push(`${server.attempts} failed attempt${server.attempts === 1 ? "" : "s"}`);
    if (server.retry_at_s !== null) {
      const soon = seconds(Math.max(0, Math.round(server.retry_at_s - now())));
      tries.push(server.is_given_up ? `given up; a call in ${soon} tries it again` : `next try in ${soon}`);
    }
    if (tries.length) item.append(make("p", tries.join(", ")));
    return item;
  }));
}

function drawSettings() {
  const text = JSON.stringify(model.settings);
  const body = byId("settings-body");
  if (!model.settings || body.dataset.shown === text) return;
  body.dataset.shown = text;
  say(byId("settings-source"), model.settings.source ? `from ${model.settings.source}` : "");
  const lists = [["Gateway", model.settings.gateway], ...model.settings.servers.map((server) => [`${server.key} (${server.kind})`, server.settings])];
  body.replaceChildren(...lists.map(([title, settings]) => {
    const section = make("section");
    const list = make("dl");
    for (const setting of settings) {
      const value = setting.value === null ? "unset" : typeof setting.value === "object" ? setting.value.join(", ") || "none" : String(setting.value);
      list.append(make("dt", setting.name), make("dd", value, setting.is_default ? {} : { class: "own" }));
    }
    section.append(make("h3", title), settings.length ? list : make("p", "as the gateway's", { class: "muted" }));
    return section;
  }));
}

function drawTable() {
  const calls = shown().reverse();
  const end = now();
  const rows = byId("rows");
  const chosen = calls.slice(0, view.rows);
  chosen.forEach((call, index) => {
    const row = rows.children[index] ?? rows.appendChild(newRow());
    row.dataset.number = call.number;
    const [number, name, server, status, waited, ran, why] = row.children;
    say(number, String(call.number));
    say(name.firstChild, call.tool);
    say(server, call.server);
    put(status.firstChild.firstChild, { class: `swatch ${call.state}` });
    say(status.firstChild.lastChild, inWords(call.state) + (call.failure ? `: ${call.failure.replaceAll("_", " ")}` : ""));
    say(waited, seconds((call.started_s ?? call.settled_s ?? end) - call.arrived_s));
    say(ran, call.started_s === null ? "" : seconds((call.settled_s ?? end) - call.started_s));
    say(why, call.why || call.waited_for);
  });
  while (rows.children.length > chosen.length) rows.lastChild.remove();
  const more = byId("more-rows");
  more.hidden = calls.length <= view.rows;
  say(more, `Show all ${calls.length}`);
}

function newRow() {
  const row = make("tr");
  row.append(make("td"), make("td"), make("td"), make("td"), make("td", "", { class: "number" }), make("td", "", { class: "number" }), make("td"));
  const button = make("button", "", { type: "button" });
  button.addEventListener("click", () => choose(Number(row.dataset.number), true));
  row.children[1].append(button);
  const status = make("span", "", { class: "state" });
  status.append(make("i", "", { class: "swatch" }), make("span"));
  row.children[3].append(status);
  return row;
}

function fill(select, values, chosen) {
  const text = values.join("\n");
  if (select.dataset.shown === text) return;
  select.dataset.shown = text;
  select.replaceChildren(make("option", "all", { value: "" }), ...values.map((one) => make("option", one, { value: one })));
  select.value = chosen;
}

function drawFilters() {
  const calls = [...model.calls.values()];
  fill(byId("filter-server"), [...new Set([...model.servers.map((one) => one.key), ...calls.map((one) => one.server)])], view.server);
  fill(byId("filter-scope"), [...new Set(calls.map((one) => one.scope))], view.scope);
}

// Announcements: what needs somebody, and no more often than can be listened to

let lastSaid = 0;
let toSay = [];

function announce(call) {
  if (call.state !== "failed" && call.state !== "input_required") return;
  toSay.push(call.state === "failed" ? `Call ${call.number}, ${call.tool}, failed.` : `Call ${call.number}, ${call.tool}, waits for you.`);
}

function speak() {
  if (!toSay.length || Date.now() - lastSaid < 5000) return;
  const more = toSay.length > 3 ? ` And ${toSay.length - 3} more.` : "";
  say(byId("announcer"), toSay.slice(0, 3).join(" ") + more);
  toSay = [];
  lastSaid = Date.now();
}

// What people do

function choose(number, scrolls = false) {
  view.selected = view.selected === number && !scrolls ? null : number;
  view.active = number;
  put(byId("world"), { "aria-activedescendant": `call-${number}` });
  if (scrolls && !view.isTable) reveal(number);
  changed();
}

function reveal(number) {
  const chart = byId("chart"), place = places.at.get(number);
  if (!place) return;
  const gutter = byId("gutter").offsetWidth;
  const end = xOf(model.calls.get(number).settled_s ?? now());
  if (place.x < chart.scrollLeft || end > chart.scrollLeft + chart.clientWidth - gutter) {
    follow(false);
    chart.scrollLeft = Math.max(0, place.x - 60);
  }
  if (place.y < chart.scrollTop || place.y + BAR + 64 > chart.scrollTop + chart.clientHeight) chart.scrollTop = place.y - 60;
}

function activate(number) {
  view.active = number;
  reveal(number);
  draw();
  put(byId("world"), { "aria-activedescendant": `call-${number}` });
}

function neighbour(key) {
  const calls = places.calls;
  const index = calls.findIndex((call) => call.number === view.active);
  if (index < 0) return calls.at(-1);
  if (key === "ArrowLeft") return calls[Math.max(0, index - 1)];
  if (key === "ArrowRight") return calls[Math.min(calls.length - 1, index + 1)];
  if (key === "Home") return calls[0];
  if (key === "End") return calls.at(-1);
  const here = places.at.get(view.active);
  const isDown = key === "ArrowDown";
  let best = null, bestFar = Infinity;
  for (const call of calls) {
    const place = places.at.get(call.number);
    const dy = isDown ? place.y - here.y : here.y - place.y;
    if (dy <= 1) continue;
    const far = dy * 8 + Math.abs(place.x - here.x);
    if (far < bestFar) [best, bestFar] = [call, far];
  }
  return best;
}

byId("world").addEventListener("keydown", (event) => {
  const moves = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
  if (!places.calls.length || event.ctrlKey || event.metaKey || event.altKey) return;
  if (moves.includes(event.key)) {
    const call = neighbour(event.key);
    if (call) activate(call.number);
  } else if (event.key === "Enter" || event.key === " ") {
    choose(view.active ?? places.calls.at(-1).number, true);
    draw();
    drawDetails();
    byId("details").focus();
  } else if (event.key === "Escape") {
    view.selected = null;
    changed();
  } else return;
  event.preventDefault();
});
byId("world").addEventListener("focus", () => {
  // a press focuses it, too, and is about what is under the pointer
  if (view.active === null && places.calls.length && !isPressed()) activate(places.calls.at(-1).number);
});
byId("details").addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeDetails();
});
byId("close-details").addEventListener("click", closeDetails);

function closeDetails() {
  view.selected = null;
  drawDetails();
  (view.isTable ? byId("table-view") : byId("world")).focus();
  changed();
}

function follow(isFollowing) {
  view.follows = isFollowing;
  byId("follow").setAttribute("aria-pressed", String(isFollowing));
}

function zoom(by) {
  const index = ZOOMS.indexOf(places.scale ?? 45);
  const chart = byId("chart");
  const middle = chart.scrollLeft + chart.clientWidth / 2;
  const share = places.width ? middle / places.width : 0;
  view.zoom = ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, index + by))];
  draw();
  if (!view.follows) chart.scrollLeft = share * places.width - chart.clientWidth / 2;
}

byId("zoom-in").addEventListener("click", () => zoom(1));
byId("zoom-out").addEventListener("click", () => zoom(-1));
byId("zoom-fit").addEventListener("click", () => {
  view.zoom = null;
  follow(true);
  changed();
});
byId("follow").addEventListener("click", () => {
  follow(!view.follows);
  changed();
});
byId("chart").addEventListener("wheel", (event) => {
  if (event.ctrlKey) {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1 : -1);
  } else if (event.deltaX || event.shiftKey) follow(false);
}, { passive: false });
byId("chart").addEventListener("pointerdown", (event) => {
  if (event.target === byId("chart")) follow(false); // its scroll bar
});
byId("chart").addEventListener("touchmove", () => follow(false), { passive: true });
byId("chart").addEventListener("scroll", changed, { passive: true });
addEventListener("resize", changed);

byId("filter-server").addEventListener("change", (event) => {
  view.server = event.target.value;
  changed();
});
byId("filter-scope").addEventListener("change", (event) => {
  view.scope = event.target.value;
  changed();
});

byId("pause").addEventListener("click", () => {
  const at = now();
  view.isPaused = !view.isPaused;
  view.pausedAt = at;
  byId("pause").setAttribute("aria-pressed", String(view.isPaused));
  say(byId("pause"), view.isPaused ? "Go on" : "Pause");
  if (!view.isPaused && waitingUpdates.length) {
    take(merged(waitingUpdates));
    waitingUpdates = [];
  }
  state(view.isPaused ? "paused" : "live", view.isPaused ? "Paused" : "Live");
  changed();
});

function show(isTable) {
  view.isTable = isTable;
  byId("timeline").hidden = isTable;
  byId("table-view").hidden = !isTable;
  byId("view-timeline").setAttribute("aria-pressed", String(!isTable));
  byId("view-table").setAttribute("aria-pressed", String(isTable));
  for (const id of ["zoom-out", "zoom-fit", "zoom-in", "follow"]) byId(id).disabled = isTable;
  changed();
}

byId("view-timeline").addEventListener("click", () => show(false));
byId("view-table").addEventListener("click", () => show(true));
byId("more-rows").addEventListener("click", () => {
  view.rows = MOST_CALLS;
  changed();
});

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return localStorage.getItem("asyncfc-theme") ?? (prefersDark.matches ? "dark" : "light");
}

function applyTheme() {
  const chosen = localStorage.getItem("asyncfc-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  byId("theme").setAttribute("aria-checked", String(theme() === "dark"));
}

byId("theme").addEventListener("click", () => {
  localStorage.setItem("asyncfc-theme", theme() === "dark" ? "light" : "dark");
  applyTheme();
});
prefersDark.addEventListener("change", applyTheme);

function drawCalls() {
  if (view.isTable) drawTable();
  else draw();
  drawDetails();
  drawWaiting();
}

/** Whether somebody presses something that is drawn anew: a click counts only if it ends on what it began on. */
const isPressed = () => document.querySelector("#world:active, #rows:active, #facts:active, #waiting:active") !== null;

function tick() {
  const isLive = !view.isPaused && [...model.calls.values()].some((call) => call.settled_s === null);
  const last = places.segments.at(-1);
  const isSettling = !view.isPaused && last && now() - last.to < FOLD_AFTER_S;
  const pause = isStill.matches ? 500 : Math.max(40, model.calls.size / 10);
  const isHeld = isPressed();
  const isDue = (isDirty && !isHeld) || ((isDirty || isLive || isSettling) && Date.now() - lastDrawn >= pause);
  if (isDue && !document.hidden && !byId("board").hidden) {
    isDirty = isHeld;
    lastDrawn = Date.now();
    drawFilters();
    drawFigures();
    drawServers();
    drawSettings();
    if (!isHeld) drawCalls();
  }
  speak();
  requestAnimationFrame(tick);
}

applyTheme();
begin();
setInterval(() => { if (!view.isPaused) changed(); }, 1000);
requestAnimationFrame(tick);
