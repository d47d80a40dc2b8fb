import { WebSocketClient } from "./websocket-client.js";

const $ = (id) => document.getElementById(id);
const EVERYONE = "*";
const STATES = { connecting: "Connecting …", open: "Connected", waiting: "Not connected", refused: "Refused", closed: "Not connected" };

/** @type {WebSocketClient | undefined} */
let client;
const rooms = new Map();    // Channels, with what the page shows of each.
const names = new Map();    // Connection ids, with the name that was last heard from them.
const pending = new Map();  // Lines of our own messages that did not come back yet, by their key.
const shown = new Map();    // Message ids and keys, with their lines.
let self;                   // Our connection id: known when we hear ourselves.
let current = EVERYONE;

// --- the connection --------------------------------------------------------------------------------

function connect(url, token) {
  client?.close();
  $("server").textContent = url.replace(/^wss?:\/\//, "").split("/")[0];
  // A browser cannot set headers, and a URL ends up in logs: the token goes as a sub-protocol.
  client = new WebSocketClient({ url, protocols: token ? ["bearer", token] : [] });
  client.on("state", showState);
  client.on("message", hear);
  client.on("error", ({ message }) => note(current, message, "error"));
  client.on("gap", ({ channel, since }) => note(channel, `What was said since ${clock(since)}, while you were away, may be missing.`));
  client.on("joined", (presence) => announce(presence, "joined"));
  client.on("left", (presence) => announce(presence, "left"));
  showState(client.state);
  for (const channel of rooms.keys()) enter(channel);
}

async function enter(channel) {
  await client.subscribe(channel).catch(({ message }) => note(channel, message, "error"));
}

function showState({ name, retryAt }) {
  $("state").dataset.state = name;
  $("state").textContent = STATES[name];
  $("state").dataset.retryAt = retryAt ?? "";
  $("try-now").hidden = !retryAt;
  countDown();
  if (name === "open") listPeople();
  if (name === "refused") openDoor("The server refused the connection", "Most often the token is missing, wrong, or too old. Browsers are not told why; the server's log tells.");
  else $("door").hidden = true;
}

function countDown() {
  const { retryAt } = $("state").dataset;
  const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1_000));
  $("next-try").textContent = retryAt ? `next try in ${seconds} s` : "";
}
setInterval(countDown, 1_000);
$("try-now").onclick = () => client.wake();

function openDoor(title, text) {
  $("door-title").textContent = title;
  $("door-text").textContent = text;
  $("door").hidden = false;
}

$("door").onsubmit = (submit) => {
  submit.preventDefault();
  connect($("url").value.trim(), $("token").value.trim());
  $("text").focus();
};

// --- channels --------------------------------------------------------------------------------------

function addRoom(channel) {
  const name = channel === EVERYONE ? "Everyone" : channel;
  const log = element("div", { className: "log", role: "log", ariaLabel: `Messages in ${name}`, tabIndex: 0, hidden: true });
  const lines = element("ol");
  log.append(lines, element("p", { className: "empty", textContent: "Nothing was said yet." }));
  log.onscroll = () => { if (isAtEnd(log)) $("below").hidden = true; };
  $("logs").prepend(log);

  const item = element("li");
  const go = element("button", { className: "go", type: "button", textContent: name });
  go.onclick = () => show(channel);
  const unread = element("span", { className: "unread", hidden: true });
  item.append(go, unread);
  if (channel !== EVERYONE) {
    const leave = element("button", { className: "leave", type: "button", textContent: "×", ariaLabel: `Leave ${name}` });
    leave.onclick = () => removeRoom(channel);
    item.append(leave);
  }
  $("channels").append(item);
  rooms.set(channel, { name, log, lines, item, go, unread });
  remember();
}

function removeRoom(channel) {
  const { log, item } = rooms.get(channel);
  rooms.delete(channel);
  log.remove();
  item.remove();
  remember();
  if (current === channel) show(EVERYONE);
  $("text").focus();
  client.unsubscribe(channel).catch(({ message }) => note(current, message, "error"));
}

function remember() {
  localStorage.setItem("channels", JSON.stringify([...rooms.keys()]));
}

function show(channel) {
  current = channel;
  for (const [each, { go, log }] of rooms) {
    if (each === channel) go.setAttribute("aria-current", "true");
    else go.removeAttribute("aria-current");
    log.hidden = each !== channel;
  }
  const { name, log, go } = rooms.get(channel);
  countUnread(channel, 0);
  log.scrollTop = log.scrollHeight;
  $("below").hidden = true;
  go.scrollIntoView({ block: "nearest", inline: "nearest" });
  $("text").placeholder = channel === EVERYONE ? "Say something to everyone" : `Say something in ${name}`;
  $("people-title").textContent = channel === EVERYONE ? "Who is connected" : `Who is in ${name}`;
  document.title = `${name} – Chat`;
  listPeople();
}

function countUnread(channel, count) {
  const { unread } = rooms.get(channel);
  unread.hidden = count === 0;
  unread.dataset.count = count;
  unread.replaceChildren(String(count), element("span", { className: "away", textContent: " unread" }));
}

$("join").onsubmit = async (submit) => {
  submit.preventDefault();
  const channel = $("channel").value.trim();
  if (!channel || !client) return;
  $("join-error").textContent = "";
  try {
    if (!rooms.has(channel)) {
      await client.subscribe(channel);
      addRoom(channel);
    }
    $("channel").value = "";
    show(channel);
    showJoin(false);
    $("text").focus();
  } catch ({ message }) {
    $("join-error").textContent = message;
  }
};

// Where the screen is small, what is not needed all the time is behind a button.
function showJoin(isShown) {
  $("join").classList.toggle("shown", isShown);
  $("show-join").ariaExpanded = isShown;
  if (isShown) $("channel").focus();
}

function showPanel(isShown) {
  $("people-panel").classList.toggle("shown", isShown);
  $("show-people").ariaExpanded = isShown;
  if (isShown) listPeople();
}

$("show-join").onclick = () => showJoin(!$("join").classList.contains("shown"));
$("show-people").onclick = () => showPanel(!$("people-panel").classList.contains("shown"));

addEventListener("keydown", (key) => {
  if (key.key === "Escape") {
    showJoin(false);
    showPanel(false);
    $("text").focus();
  }
  if (!key.altKey || (key.key !== "ArrowUp" && key.key !== "ArrowDown")) return;
  key.preventDefault();
  const channels = [...rooms.keys()];
  const step = key.key === "ArrowDown" ? 1 : channels.length - 1;
  show(channels[(channels.indexOf(current) + step) % channels.length]);
});

// --- messages --------------------------------------------------------------------------------------

function say(channel, text, key = crypto.randomUUID()) {
  const message = { name: $("name").value.trim(), text, key };
  const line = addLine(channel, { from: message.name, text, sentAt: Date.now(), kind: "own pending", key });
  pending.set(key, line);
  const status = line.querySelector(".status");
  status.textContent = client?.state.name === "open" ? "" : "Will be sent once there is a connection.";
  rooms.get(channel).log.scrollTop = rooms.get(channel).log.scrollHeight;
  client.send(channel, message).then(({ failed }) => {
    line.classList.remove("pending");
    status.textContent = failed ? `${failed} did not get it.` : "";
  }, (error) => {
    if (!pending.has(key)) return; // It came back, so it was sent: only the answer is missing.
    line.classList.replace("pending", "failed");
    const again = element("button", { type: "button", textContent: "Send again" });
    // Under the same key: what seemed lost may come yet.
    again.onclick = () => { line.remove(); say(channel, text, key); $("text").focus(); };
    status.replaceChildren(`Not sent: ${error.message} `, again);
  });
}

function hear({ id, channel, from, principal, message, sentAt }) {
  const { name, text, key } = Object(message);
  const who = String(principal ?? name ?? "Server");
  if (from && names.get(from) !== who) {
    names.set(from, who);
    listPeople();
  }
  const line = pending.get(key);
  if (line) {
    pending.delete(key);
    self = from;
    if (line.matches(".pending, .failed")) line.querySelector(".status").textContent = "";
    line.classList.remove("pending", "failed");
    line.querySelector(".from").textContent = who;
    return place(line, { id, sentAt });
  }
  // A message whose answer was lost is sent twice, as two messages: the key tells that they are one.
  if (shown.has(id) || (key && shown.has(key))) return;
  const room = rooms.has(channel) ? channel : current;
  const said = typeof text === "string" ? text : JSON.stringify(message);
  const kind = from !== undefined && from === self ? "own" : "";
  const added = addLine(room, { from: who, text: said, sentAt, kind, id, key });
  added.title = from ? `Connection ${from}` : "";
  if (room !== current) countUnread(room, Number(rooms.get(room).unread.dataset.count ?? 0) + 1);
}

function note(channel, text, kind = "") {
  addLine(rooms.has(channel) ? channel : current, { from: "", text, sentAt: Date.now(), kind: `note ${kind}` });
}

function announce({ channel, connectionId, principal, at }, what) {
  if (connectionId === self) return;
  if (rooms.has(channel)) addLine(channel, { from: "", text: `${nameOf({ connectionId, principal })} ${what}.`, sentAt: at, kind: "note" });
  listPeople();
}

function addLine(channel, { from, text, sentAt, kind, id, key }) {
  const line = element("li", { className: kind });
  line.append(element("span", { className: "from", textContent: from }), element("span", { className: "text", textContent: text }),
    element("time"), element("span", { className: "status" }));
  if (key) shown.set(key, line);
  place(line, { id, sentAt }, rooms.get(channel).lines);
  return line;
}

/** Puts a line where its time says: what was missed comes after what is new. */
function place(line, { id = "", sentAt }, lines = line.parentElement) {
  const log = lines.parentElement;
  const wasAtEnd = isAtEnd(log);
  if (id) shown.set(id, line);
  line.dataset.at = String(sentAt).padStart(15, "0") + id;
  const time = line.querySelector("time");
  time.dateTime = new Date(sentAt).toISOString();
  time.title = new Date(sentAt).toLocaleString();
  time.textContent = clock(sentAt);
  const before = [...lines.children].findLast((other) => other !== line && other.dataset.at <= line.dataset.at);
  if (before) before.after(line);
  else lines.prepend(line);
  group(line);
  if (line.nextElementSibling) group(line.nextElementSibling);
  if (log.hidden) return;
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
  else if (line === lines.lastElementChild) $("below").hidden = false;
}

/** Who says several things in a row is named once. */
function group(line) {
  const from = (each) => each?.querySelector(".from")?.textContent;
  line.classList.toggle("more", from(line) !== "" && from(line) === from(line.previousElementSibling));
}

function isAtEnd(log) {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

$("below").onclick = () => {
  const { log } = rooms.get(current);
  log.scrollTop = log.scrollHeight;
  $("text").focus();
};

$("composer").onsubmit = (submit) => {
  submit.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  if (!client) return $("url").focus();
  say(current, text);
  $("text").value = "";
};

$("text").onkeydown = (key) => {
  if (key.key !== "Enter" || key.shiftKey || key.isComposing) return;
  key.preventDefault();
  $("composer").requestSubmit();
};

// --- people ----------------------------------------------------------------------------------------

let listing;
function listPeople() {
  clearTimeout(listing);
  listing = setTimeout(async () => {
    if (client?.state.name !== "open") return;
    const channel = current;
    const { members, next } = await client.list(channel).catch(({ message }) => {
      note(channel, message, "error");
      return { members: [], next: undefined };
    });
    if (channel === current) showPeople(members, next);
  }, 200);
}

function showPeople(members, next) {
  const byName = (a, b) => nameOf(a).localeCompare(nameOf(b));
  $("people").replaceChildren(...members.sort(byName).map((member) => {
    const { connectionId, connectedAt } = member;
    const item = element("li", { title: `Connection ${connectionId}` });
    const who = nameOf(member) + (connectionId === self ? " (you)" : "");
    item.append(element("span", { className: "who", textContent: who }), element("span", { className: "since", textContent: `since ${clock(connectedAt)}` }));
    return item;
  }));
  $("people-more").hidden = next === undefined;
  $("show-people").textContent = `People (${members.length}${next === undefined ? "" : "+"})`;
}

function nameOf({ connectionId, principal }) {
  return principal ?? names.get(connectionId) ?? `Guest ${connectionId.slice(0, 4)}`;
}

$("name").onchange = () => localStorage.setItem("name", $("name").value.trim());

// --- the start -------------------------------------------------------------------------------------

function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

function clock(time) {
  return new Date(time).toLocaleTimeString([], { timeStyle: "short" });
}

$("name").value = localStorage.getItem("name") || `guest-${Math.random().toString(36).slice(2, 6)}`;
for (const channel of new Set([EVERYONE, ...JSON.parse(localStorage.getItem("channels") ?? "[]")])) addRoom(channel);
show(EVERYONE);
const url = new URLSearchParams(location.search).get("url");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
// Who copies the address of this page does not give the token away.
if (token) history.replaceState(null, "", location.pathname + location.search);
$("url").value = url ?? "";
$("token").value = token ?? "";
if (url) connect(url, token);
else {
  openDoor("To which server?", "Name its WebSocket URL here, or in this page's address as ?url=wss://…");
  $("url").focus();
}
