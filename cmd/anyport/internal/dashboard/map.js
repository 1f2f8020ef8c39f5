"use strict";
// The map of all ports: 256 rows of 256, port 0 at the top left.
const mapEvery = 10000; // ms between two questions

const ports = { map: null, of: new Array(65536), hot: new Map(), probed: new Map(), at: 0, routes: [] };
const el = id => document.getElementById(id);

// hues are far from each other, and none is the grey of a refused port.
const routeColour = i => "hsl(" + (210 + i * 137.5) % 360 + " 48% " + (matchMedia("(prefers-color-scheme: dark)").matches ? 42 : 58) + "%)";
const theme = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

// isServed: by anyport, or by the listening socket of a service of this host.
const isServed = run => run.verdict === "steer" || run.verdict === "socket";

function colourOf(run) {
  if (isServed(run)) return routeColour(Math.max(0, ports.routes.indexOf(run.route)));
  return theme(run.verdict === "drop" ? "drop" : run.verdict === "pass" ? "pass" : "refuse");
}

function draw() {
  if (!ports.map) return;
  const g = el("map").getContext("2d");
  for (const run of ports.map.runs) {
    g.fillStyle = colourOf(run);
    for (let p = run.first; p <= run.last;) { // row by row
      const end = Math.min(run.last, p | 255);
      g.fillRect(p & 255, p >> 8, end - p + 1, 1);
      p = end + 1;
    }
    if (run.closed) hatch(g, run);
  }
  g.fillStyle = theme("probed");
  for (const port of ports.probed.keys()) g.fillRect(port & 255, port >> 8, 1, 1);
  g.fillStyle = theme("hot");
  const size = ports.hot.size > 1000 ? 1 : 3; // few are drawn larger, to be seen
  for (const port of ports.hot.keys()) g.fillRect((port & 255) - (size >> 1), (port >> 8) - (size >> 1), size, size);
  legend();
}

// hatch marks the ports of a route that takes nothing new now.
function hatch(g, run) {
  g.fillStyle = theme("refuse");
  for (let p = run.first; p <= run.last; p++) if (((p & 255) + (p >> 8)) % 4 < 2) g.fillRect(p & 255, p >> 8, 1, 1);
}

function legend() {
  const list = el("legend");
  list.replaceChildren();
  const width = new Map();
  for (const run of ports.map.runs) {
    const name = isServed(run) ? (run.route || "egress") + (run.closed ? " (" + run.closed + ")" : "") : run.verdict + (run.route ? " (" + run.route + ")" : "");
    const was = width.get(name) || { n: 0, colour: colourOf(run), closed: run.closed };
    width.set(name, { ...was, n: was.n + run.last - run.first + 1 });
  }
  const entries = [...width].sort((a, b) => b[1].n - a[1].n);
  for (const [name, { n, colour, closed }] of entries.slice(0, 12)) entry(name + " " + n.toLocaleString("en"), colour, closed);
  if (entries.length > 12) entry("and " + (entries.length - 12) + " more", "transparent");
  entry("hot: has live conns, " + ports.hot.size.toLocaleString("en") + (ports.map.partial ? " or more" : ""), theme("hot"));
  entry("probed: not served, got packets since " + new Date(ports.map.probed_since).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }) + ", " +
    ports.probed.size.toLocaleString("en") + (ports.map.probed_known ? "" : " (other prefixes get more: these are not counted)"), theme("probed"));
}

function entry(text, colour, hatched) {
  const li = document.createElement("li"), box = document.createElement("i");
  box.style.background = hatched ? "repeating-linear-gradient(135deg, " + colour + " 0 2px, " + theme("refuse") + " 2px 4px)" : colour;
  li.append(box, text);
  el("legend").append(li);
}

// describe tells about the port under the cursor.
function describe() {
  const run = ports.of[ports.at], use = ports.hot.get(ports.at), probes = ports.probed.get(ports.at);
  if (!run) return;
  const route = run.route && typeof now !== "undefined" && now && now.routes.find(r => r.name === run.route);
  const lines = ["Port " + ports.at + "/" + ports.map.protocol + " of " + ports.map.prefix + ": " +
    (isServed(run) ? "served" : run.verdict) + (run.route ? " by route " + run.route : ", no route takes it") +
    " (ports " + (run.first === run.last ? run.first : run.first + "-" + run.last) + ")" + (run.closed ? ", which takes nothing new now: " + run.closed : "")];
  if (run.origins.length) lines.push("Origin " + run.origins.join(", "));
  lines.push((use ? use.conns.toLocaleString("en") + " live, " + bytes(use.bytes) + " carried" : "No live conns or flows on this port") +
    (route ? "; the route has " + route.conns_active.toLocaleString("en") + " live, " + route.refused.toLocaleString("en") + " refused" : ""));
  if (probes) lines.push("Probed: " + probes.toLocaleString("en") + (probes === 1 ? " packet" : " packets") + " were reported while nobody served it");
  const text = lines.join("\n");
  if (el("port").textContent !== text) el("port").textContent = text;
}

function moveTo(port) {
  if (!ports.map) return;
  ports.at = Math.min(65535, Math.max(0, port));
  const c = el("cursor");
  c.hidden = false;
  c.style.left = ((ports.at & 255) + .5) / 2.56 + "%";
  c.style.top = ((ports.at >> 8) + .5) / 2.56 + "%";
  describe();
}

const keys = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -256, ArrowDown: 256, PageUp: -4096, PageDown: 4096 };
el("map").addEventListener("keydown", event => {
  let to = ports.at;
  if (event.key in keys) to += keys[event.key];
  else if (event.key === "Home") to &= ~255;
  else if (event.key === "End") to |= 255;
  else return;
  event.preventDefault();
  if (to >= 0 && to <= 65535) moveTo(to);
});
el("map").addEventListener("pointermove", event => {
  const box = el("map").getBoundingClientRect();
  const place = (v, size) => Math.min(255, Math.max(0, Math.floor(v / size * 256)));
  moveTo(place(event.clientY - box.top, box.height) << 8 | place(event.clientX - box.left, box.width));
});
el("map").addEventListener("focus", () => moveTo(ports.at));

// askPorts shows the map of what the form has; with an empty form, of the first prefix served.
async function askPorts() {
  const query = new URLSearchParams({ prefix: el("ports-prefix").value.trim(), protocol: el("ports-protocol").value });
  try {
    const answer = await fetch("api/ports?" + query);
    if (!answer.ok) { el("port").textContent = await answer.text(); return; }
    show256(await answer.json());
  } catch { /* the stream shows that nobody answers */ }
}

function show256(map) {
  ports.map = map;
  ports.hot = new Map(map.hot.map(use => [use.port, use]));
  ports.probed = new Map();
  for (let i = 0; i < map.probed.length; i += 3) for (let p = map.probed[i]; p <= map.probed[i + 1]; p++) ports.probed.set(p, map.probed[i + 2]);
  ports.routes = [...new Set(map.runs.filter(isServed).map(run => run.route))];
  for (const run of map.runs) ports.of.fill(run, run.first, run.last + 1);
  if (!el("ports-prefix").value) el("ports-prefix").value = map.prefix;
  const served = el("ports-served");
  if (served.children.length !== map.served.length) served.replaceChildren(...map.served.map(prefix => {
    const option = document.createElement("option");
    option.value = prefix;
    return option;
  }));
  draw();
  if (!el("cursor").hidden) describe();
}

el("ports-form").addEventListener("submit", event => { event.preventDefault(); askPorts(); });
el("ports-protocol").addEventListener("change", askPorts);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
setInterval(() => { if (!document.hidden) askPorts(); }, mapEvery);
askPorts();
