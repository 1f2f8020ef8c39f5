// The figures. Every text goes to the page by textContent: names and errors are from outside.
const $ = id => document.getElementById(id);
const silentAfter = 5000; // ms without an event: the process may make them this rarely with very many routes
const manyFlows = 20000;  // live ones: sorting them costs the server more than all else, so the list then waits to be opened
const kept = 60;          // events in the curves

let now = null, before = null, lastAt = 0, source = null;
const curves = {};

function set(node, value, name) {
  value = String(value);
  if (node.textContent !== value) node.textContent = value;
  if (name !== undefined && node.className !== name) node.className = name;
}

// table shows rows of columns {head, of, kind, state}. It changes only cells that differ, so that a selection
// and the place where one reads stay.
function table(id, columns, rows) {
  const t = $(id);
  if (!rows.length) { t.replaceChildren(); return; }
  const heads = columns.map(c => c.head).join("\n");
  if (t.dataset.heads !== heads || !t.tBodies.length) {
    t.replaceChildren();
    t.dataset.heads = heads;
    const tr = t.createTHead().insertRow();
    for (const c of columns) {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = c.head;
      if (c.kind === "n") th.className = "n";
      tr.append(th);
    }
    t.createTBody();
  }
  const body = t.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) {
    const tr = body.insertRow();
    for (const c of columns) tr.insertCell().dataset.head = c.head;
  }
  rows.forEach((row, i) => columns.forEach((c, k) => {
    const value = c.of(row), state = c.state ? c.state(row) : "";
    const empty = value === "" || value === "-" ? "empty" : "";
    set(body.rows[i].cells[k], value, [c.kind, state, empty].filter(Boolean).join(" "));
  }));
}

function bytes(n) {
  let unit = 0;
  while (n >= 1024 && unit < 6) { n /= 1024; unit++; }
  return unit ? n.toFixed(1) + " " + "KMGTPE"[unit - 1] + "iB" : Math.round(n) + " B";
}

const count = n => n.toLocaleString("en");
const perSecond = n => n >= 100 ? count(Math.round(n)) : String(+n.toFixed(1));
const of = (n, most) => most ? count(n) + " / " + count(most) : count(n);

function span(seconds) {
  if (seconds < 60) return Math.max(0, Math.round(seconds)) + " s";
  if (seconds < 3600) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return (seconds / 3600).toFixed(1) + " h";
  return Math.round(seconds / 86400) + " d";
}

// took is a short time, or "-" where there is none.
const took = seconds => seconds === undefined ? "-" : seconds >= 1 ? span(seconds) : seconds >= 0.001 ? (seconds * 1000).toFixed(1) + " ms" : Math.round(seconds * 1e6) + " µs";

// below adds a second line to a cell, if there is anything to say there.
const below = (text, n, more) => n ? text + "\n" + more : text;

// averages are those of the last thousand or so.
const averages = o => [["wait", o.average_queue_seconds], ["connect", o.average_connect_seconds], ["session", o.average_session_seconds]]
  .filter(([, seconds]) => seconds !== undefined).map(([what, seconds]) => what + " " + took(seconds)).join("\n") || "-";

// outages is how often something was down, and how long in all.
const outages = o => o.times_down || o.down_seconds ? o.times_down + " ×, " + span(o.down_seconds) : "-";

// ago is how long before the event a time was, by the clock of the server.
const ago = time => time ? span((now.at - Date.parse(time)) / 1000) + " ago" : "-";

// rate is what a counter grew by in a second; an older value is one of the same process.
function rate(value, old) {
  if (!before || before.pid !== now.pid || old === undefined || now.at <= before.at) return 0;
  return Math.max(0, (value - old) * 1000 / (now.at - before.at));
}

const routeBefore = r => before && before.routes.find(b => b.name === r.name) || {};
const originBefore = r => (routeBefore(r.route).origins || []).find(b => b.address === r.o.address) || {};

function routeState(r) {
  if (r.draining) return ["draining", "warn"];
  if (r.unreachable_since) return ["unreachable", "bad"];
  if (r.hours && !r.hours.active) return ["not in force", "warn"];
  const closed = (r.local_sockets || []).find(socket => !socket.up);
  if (closed) return ["no " + closed.protocol + " socket", r.origins.length ? "warn" : "bad"];
  if (r.action !== "forward" && r.action !== "socket") return [r.action, ""];
  const up = r.origins.filter(o => o.up).length, all = r.origins.filter(o => !o.gone).length;
  if (!all) return ["ready", "good"];
  if (!up) return ["no origin up", "bad"];
  return up < all ? [up + " of " + all + " up", "warn"] : ["up", "good"];
}

const routeColumns = [
  { head: "Route", of: r => r.name, kind: "long" },
  { head: "State", of: r => routeState(r)[0], kind: "state", state: r => routeState(r)[1] },
  { head: "Proto", of: r => r.protocol.join(" "), kind: "state" },
  { head: "Prefixes", of: r => r.prefixes.join(" "), kind: "long" },
  { head: "Ports", of: r => r.ports.join(" "), kind: "ports" },
  { head: "Live", of: r => of(r.conns_active, r.max_conns || r.max_flows), kind: "n" },
  { head: "Peak", of: r => count(r.conns_peak), kind: "n" },
  { head: "Total", of: r => below(count(r.conns_total), r.last_new_at, ago(r.last_new_at)), kind: "n" },
  { head: "New/s", of: r => below(perSecond(rate(r.conns_total, routeBefore(r).conns_total)) + (r.new_conns_per_second ? " / " + count(r.new_conns_per_second) : ""), r.new_per_second_peak, "peak " + perSecond(r.new_per_second_peak)), kind: "n" },
  { head: "Queue", of: r => r.queue ? below(of(r.queue_waiting || 0, r.queue), r.queue_peak, "peak " + count(r.queue_peak)) : "-", kind: "n" },
  { head: "Average", of: averages, kind: "short" },
  { head: "Down", of: outages, kind: "n" },
  { head: "Refused", of: r => count(r.refused + r.dropped), kind: "n" },
  { head: "Denied", of: r => count(r.denied), kind: "n" },
  { head: "Limited", of: r => count(r.limited), kind: "n" },
  { head: "Errors", of: r => below(count(r.errors), r.retries, count(r.retries) + (r.retries === 1 ? " retry" : " retries")), kind: "n", state: r => rate(r.errors, routeBefore(r).errors) ? "bad" : "" },
  { head: "To origin", of: r => below(bytes(r.bytes_to_origin), r.bytes_to_origin, bytes(rate(r.bytes_to_origin, routeBefore(r).bytes_to_origin)) + "/s"), kind: "n" },
  { head: "To client", of: r => below(bytes(r.bytes_to_client), r.bytes_to_client, bytes(rate(r.bytes_to_client, routeBefore(r).bytes_to_client)) + "/s"), kind: "n" },
];

const stateOf = o => o.gone ? "gone from its name" : o.up ? o.health : (o.state || "down").replaceAll("_", " ");
const stateClass = o => !o.up ? (o.forced ? "warn" : "bad") : o.health === "down" ? "bad" : o.health === "up" ? "good" : "";

// lastError is why an origin is left out, or the last error that conns met, and since when they meet nothing else.
function lastError(o) {
  if (o.check_failed) return o.check_failed;
  const at = o.failing_since || o.last_error_at;
  if (at) return o.last_error + (o.last_errno ? " (" + o.last_errno + ")" : "") + (o.failing_since ? ", failing since " : ", ") + ago(at);
  return o.up ? "" : o.why;
}
const originColumns = [
  { head: "Origin", of: r => r.o.name && r.o.name !== r.o.address ? r.o.address + " (" + r.o.name + ")" : r.o.address, kind: "long wide" },
  { head: "Route", of: r => r.route.name, kind: "long" },
  { head: "State", of: r => stateOf(r.o), kind: "state", state: r => stateClass(r.o) },
  { head: "Since", of: r => ago(r.o.since), kind: "short" },
  { head: "Last error", of: r => lastError(r.o) || "-", kind: "long", state: r => lastError(r.o) && (!r.o.up || r.o.failing_since) ? "bad" : "" },
  { head: "Last check", of: r => r.o.checked_at ? ago(r.o.checked_at) + ", " + took(r.o.check_seconds) + (r.o.checks_failed ? "\n" + count(r.o.checks_failed) + " failed" : "") : "-", kind: "short" },
  { head: "Live", of: r => below(of(r.o.conns_active, r.o.max_conns), r.o.conns_peak, "peak " + count(r.o.conns_peak)), kind: "n" },
  { head: "Total", of: r => below(below(count(r.o.conns_total), r.o.last_new_at, ago(r.o.last_new_at)), r.o.retries, count(r.o.retries) + " retries"), kind: "n" },
  { head: "New/s", of: r => below(perSecond(rate(r.o.conns_total, originBefore(r).conns_total)), r.o.new_per_second_peak, "peak " + perSecond(r.o.new_per_second_peak)), kind: "n" },
  { head: "Average", of: r => averages(r.o), kind: "short" },
  { head: "Failed dials", of: r => below(count(r.o.failed_dials), r.o.left, count(r.o.left) + " left"), kind: "n" },
  { head: "ICMP errors", of: r => count(r.o.refusals), kind: "n" },
  { head: "Down", of: r => outages(r.o), kind: "n" },
  { head: "Weight", of: r => below(r.o.weight + (r.o.backup ? " backup" : ""), r.o.slow_start_share, Math.round(r.o.slow_start_share * 100) + " % of it"), kind: "n" },
  { head: "To origin", of: r => bytes(r.o.bytes_to_origin), kind: "n" },
  { head: "To client", of: r => bytes(r.o.bytes_to_client), kind: "n" },
];

const dropBefore = d => before && (before.drops.find(b => b.where === d.where && b.reason === d.reason) || { count: 0 }).count;
const dropColumns = [
  { head: "Where", of: d => d.where },
  { head: "Reason", of: d => d.reason },
  { head: "Total", of: d => count(d.count), kind: "n" },
  { head: "/s", of: d => perSecond(rate(d.count, before ? dropBefore(d) : undefined)), kind: "n" },
];

const reloadColumns = [
  { head: "Reload", of: r => ago(r.at), kind: "short" },
  { head: "Generation", of: r => r.generation, kind: "n" },
  { head: "Result", kind: "text", of: r => r.error ? "refused: " + r.error : "+" + r.added + " −" + r.removed + " ~" + r.changed + " routes", state: r => r.error ? "bad" : "" },
];

// A side of a trial is {name, side, old}: old is the same side in the event before, if that is of the same trial.
const percent = (n, all) => all ? (100 * n / all).toFixed(1) + " %" : "-";
const sideColumns = [
  { head: "Side", of: r => r.name, kind: "state" },
  { head: "Generation", of: r => r.side.generation, kind: "n" },
  { head: "Conns and flows", of: r => count(r.side.conns_total), kind: "n" },
  { head: "New/s", of: r => perSecond(rate(r.side.conns_total, r.old.conns_total)), kind: "n" },
  { head: "Live", of: r => count(r.side.conns_active), kind: "n" },
  { head: "Failed", of: r => count(r.side.failed), kind: "n", state: r => rate(r.side.failed, r.old.failed) ? "bad" : "" },
  { head: "Failed, share", of: r => percent(r.side.failed, r.side.conns_total), kind: "n" },
  { head: "Refused", of: r => count(r.side.refused), kind: "n" },
  { head: "Resets", of: r => count(r.side.resets), kind: "n" },
];

function showTrial(trial) {
  $("trial").hidden = !trial;
  if (!trial) return;
  const old = before && before.trial && before.trial.since === trial.since ? before.trial : { old: {}, new: {} };
  set($("trial-note"), (trial.of == "process" ? "Process " + trial.new.pid + " takes the new TCP conns of " : "Generation " + trial.new.generation + " serves ") + trial.share_percent + " % of the clients since " + ago(trial.since) + ". To end it: anyport " + (trial.of == "process" ? "upgrade" : "reload") + " --all, or --back.");
  table("sides", sideColumns, ["old", "new"].map(name => ({ name, side: trial[name], old: old[name] })));
}

const flowColumns = [
  { head: "Client", of: f => f.client, kind: "long" },
  { head: "Dst", of: f => f.protocol + " " + f.dst, kind: "long" },
  { head: "Route", of: f => f.route },
  { head: "Origin", of: f => f.waiting ? "waiting" : f.origin || "-", kind: "long" },
  { head: "Age", of: f => span(f.age_seconds), kind: "n" },
  { head: "Bytes", of: f => bytes(f.bytes_to_origin + f.bytes_to_client), kind: "n" },
];

const allDrops = s => s.drops.reduce((sum, d) => sum + d.count, 0);
const tiles = [
  ["Live conns and flows", s => s.totals.conns_active, n => count(n)],
  ["New a second", s => rate(s.totals.conns_total, before && before.totals.conns_total), perSecond],
  ["To origins a second", s => rate(s.totals.bytes_to_origin, before && before.totals.bytes_to_origin), bytes],
  ["To clients a second", s => rate(s.totals.bytes_to_client, before && before.totals.bytes_to_client), bytes],
  ["Not served a second", s => rate(allDrops(s), before ? allDrops(before) : undefined), perSecond],
  ["File descriptors", s => s.files_used, (n, s) => count(n) + " / " + count(s.files)],
];

// tile makes a figure with the curve of its last minute.
function tile(head) {
  const div = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  svg.setAttribute("viewBox", "0 0 " + (kept - 1) + " 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  dt.textContent = head;
  div.append(dt, dd, svg);
  $("tiles").append(div);
  return curves[head] = { dd, line, values: [] };
}

function showTiles(s) {
  for (const [head, value, text] of tiles) {
    const t = curves[head] || tile(head), n = value(s);
    set(t.dd, text(n, s));
    t.values = [...t.values, n].slice(-kept);
    const most = Math.max(1, ...t.values), from = kept - t.values.length;
    t.line.setAttribute("points", t.values.map((v, i) => (from + i) + "," + (23 - 22 * v / most).toFixed(1)).join(" "));
  }
}

function problems(s) {
  const k = s.steering, all = [];
  if (!k.attached) all.push("Steering is DETACHED: served addresses do not lead to anyport.");
  if (k.error) all.push("The kernel cannot be asked: " + k.error);
  if (k.on_death === "exposed") all.push("If this process is killed, served addresses lead to the host's own listeners.");
  if (k.foreign_programs.length) all.push("Beside " + k.foreign_programs.length + " foreign steering programs: ids " + k.foreign_programs.join(", "));
  for (const m of k.missing) all.push("Missing: " + m);
  if (s.config.last_reload_error) all.push("The last reload was refused: " + s.config.last_reload_error);
  if (s.event_loops_stuck) all.push(s.event_loops_stuck + " event loops do not respond.");
  if (s.stopping) all.push("Stopping: no new conns or flows are taken.");
  if (s.confirm) all.push("Not confirmed: given back in " + Math.round(s.confirm.seconds_left) + " s. Run anyport confirm.");
  for (const r of s.routes) if (routeState(r)[1] === "bad") all.push("Route " + r.name + ": " + routeState(r)[0] + (r.unreachable_since ? ", all origins fail since " + ago(r.unreachable_since) : "") + ".");
  const list = $("problems");
  while (list.children.length > all.length) list.lastChild.remove();
  all.forEach((text, i) => set(list.children[i] || list.appendChild(document.createElement("li")), text));
}

function show(s) {
  before = now;
  now = s;
  if (!before && s.totals.conns_active <= manyFlows) $("flows-open").open = true;
  const k = s.steering;
  set($("process"), s.version + ", pid " + s.pid + ", up for " + span(s.uptime_seconds));
  set($("config"), s.config.path + ", generation " + s.config.generation + ", loaded " + ago(s.config.loaded_at));
  set($("steering"), "Steering: " + (k.attached ? "attached" : "DETACHED") + (k.pinned ? ", pinned" : "") + ", " + count(k.prefixes) + " prefixes", k.attached ? "" : "bad");
  problems(s);
  showTiles(s);
  showTrial(s.trial);
  table("routes", routeColumns, s.routes);
  set($("routes-note"), s.routes_total > s.routes.length ? s.routes.length + " of " + count(s.routes_total) + " routes: first those with origins down, then the busiest. All of them: anyport routes" : "");
  const origins = s.routes.flatMap(route => route.origins.map(o => ({ route, o })));
  table("origins", originColumns, origins);
  set($("origins-note"), origins.length ? "" : "No route has an origin.");
  table("drops", dropColumns, s.drops);
  set($("drops-note"), s.drops.length ? "" : "Nothing was refused, dropped or failed so far.");
  table("reloads", reloadColumns, s.config.reloads);
}

// heard notes that the process has answered; watch shows when it did not for too long.
function heard() {
  lastAt = Date.now();
  document.body.classList.remove("stale");
  set($("link"), "live");
}

function watch() {
  const silent = Date.now() - (lastAt || begun);
  if (silent < silentAfter && !(source.readyState === EventSource.CLOSED)) return;
  document.body.classList.add("stale");
  set($("link"), lastAt ? "no answer since " + new Date(lastAt).toLocaleTimeString("en-GB") : "no answer yet");
  if (source.readyState === EventSource.CLOSED && silent > silentAfter) listen(); // it does not try again after an error of HTTP
}

function listen() {
  if (source) source.close();
  source = new EventSource("api/events");
  source.onmessage = event => { show(JSON.parse(event.data)); heard(); };
}

async function showFlows() {
  if ($("flows-open").open && !document.hidden && now) {
    try {
      const top = await (await fetch("api/flows?top=20")).json();
      table("flows", flowColumns, top.flows);
    } catch { /* the stream shows that nobody answers */ }
  }
}

const begun = Date.now();
listen();
setInterval(watch, 500);
setInterval(showFlows, 5000);
$("flows-open").addEventListener("toggle", showFlows);
