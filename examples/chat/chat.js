import { ID_LENGTH, LARGEST_FRAME, WebSocketClient, sizeOf } from "./client/index.js";
import { $, clock, element, store, stored } from "./dom.js";
import { avatar, lineOf, name as nameLine, nameAll, place } from "./lines.js";
import { arePresent, learn, nameOf } from "./names.js";

const EVERYONE = "*";
/** The room of messages to this connection alone: they have no channel. */
const ONLY_YOU = "";
const CHANNEL = /^[\w.:/-]{1,128}$/;
const STATES = { connecting: "Connecting …", open: "Connected", waiting: "Not connected", refused: "Refused", closed: "Not connected" };

/** What errors mean for people, by code. */
const EXPLAINED = {
  closed: "The connection was closed.",
  forbidden: "You may not use this channel.",
  gateway: "Something went wrong on the server. Try again in a moment.",
  invalid_request: "The server does not accept this.",
  message_too_large: "The message is too long.",
  queue_full: "Too many messages are waiting for a connection.",
  throttled: "The server has too much to do. Try again in a moment.",
  too_many_requests: "The server is still busy with your last request. Try again in a moment.",
  too_many_subscriptions: "You are in as many channels as the server allows. Leave one first.",
  unanswered: "The connection was lost before the server answered. The message may have arrived.",
  unknown_action: "The server does not offer this.",
};
/** How many of our former connections are remembered. */
const SELVES = 50;
/** Errors that the same message meets again. */
const FINAL = ["forbidden", "invalid_json", "invalid_request", "message_too_large", "unknown_action"];

/** @type {WebSocketClient | undefined} */
let client;
const rooms = new Map();    // What the page shows of each channel.
const lines = new Map();    // The line of each message, by the server's id.
const copies = new Set();   // Clients' messages by content and key: one that was sent again has another id.
const own = new Map();      // Our own messages, by key.
const selves = new Set(stored("selves") ?? []); // The ids of our connections: each reconnect has another one.
let current;

// --- the connection --------------------------------------------------------------------------------

function connect(url, token) {
  client?.close();
  $("server").textContent = url.replace(/^wss?:\/\//, "").split("/")[0];
  // A browser cannot set headers, and a URL ends up in logs: the token goes as a sub-protocol.
  client = new WebSocketClient({ url, protocols: token ? ["bearer", token] : [] });
  client.on("state", showState);
  client.on("identity", isSelf);
  client.on("message", hear);
  client.on("error", (error) => note(error.request?.channel, explain(error), "error"));
  client.on("gap", ({ channel, since }) => note(channel, `What was said since ${clock(since)}, while you were away, may be missing.`));
  client.on("joined", (presence) => announce(presence, "joined"));
  client.on("left", (presence) => announce(presence, "left"));
  showState(client.state);
  for (const channel of rooms.keys()) enter(channel);
}

/** A connection is ours. */
function isSelf({ connectionId, principal }) {
  const isNews = learn({ connectionId, principal, name: $("name").value });
  if (selves.has(connectionId) && !isNews) return;
  selves.add(connectionId);
  store("selves", [...selves].slice(-SELVES));
  listPeople();
}

/** Enters a channel. One that the page showed before it was loaded anew comes with what was said since it was joined. */
async function enter(channel) {
  const room = rooms.get(channel);
  if (channel === ONLY_YOU) return;
  try {
    if (room.isNew) await client.subscribe(channel);
    else if (!(await replay(channel, room.joinedAt))) {
      note(channel, "Messages from before may be missing.", "", room.joinedAt);
    }
    room.isNew = false;
  } catch (error) {
    if (error.code !== "closed") note(channel, explain(error), "error");
  }
}

/** Enters a channel with its history, and says whether all of it came. */
async function replay(channel, since) {
  try {
    return (await client.subscribe(channel, { since })).complete;
  } catch (error) {
    if (error.code === "closed") throw error;
    await client.subscribe(channel); // A server without a history may not know the field.
    return false;
  }
}

function explain(error) {
  console.warn(error); // With the request's id.
  return EXPLAINED[error.code] ?? error.message;
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

function addRoom(channel, { joinedAt = Date.now(), readAt = 0, isNew = true } = {}) {
  const name = { [EVERYONE]: "Everyone", [ONLY_YOU]: "Only you" }[channel] ?? channel;
  const log = element("div", { className: "log", role: "log", ariaLabel: `Messages in ${name}`, tabIndex: 0, hidden: true });
  const list = element("ol");
  const earlier = element("button", { className: "earlier", type: "button", textContent: "Earlier messages" });
  earlier.onclick = () => showEarlier(channel);
  earlier.hidden = channel === ONLY_YOU;
  log.append(earlier, list, element("p", { className: "empty", textContent: "Nothing was said yet." }));
  log.onscroll = () => {
    if (isAtEnd(log)) $("below").hidden = true;
    if (log.scrollTop < 40 && log.scrollHeight > log.clientHeight) showEarlier(channel);
  };
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
  rooms.set(channel, { name, log, list, earlier, item, go, unread, joinedAt, readAt, isNew, latest: readAt, draft: stored("drafts", "sessionStorage")?.[channel] ?? "" });
  remember();
}

/** Asks for all that the history holds of a channel, and keeps what is on view where it is. */
async function showEarlier(channel) {
  const { log, earlier } = rooms.get(channel);
  if (earlier.hidden || earlier.disabled) return;
  earlier.disabled = true;
  const fromEnd = log.scrollHeight - log.scrollTop;
  try {
    await client.subscribe(channel, { since: 0 });
    earlier.replaceWith(element("p", { className: "start", textContent: "Nothing older is kept." }));
    log.scrollTop = log.scrollHeight - fromEnd;
  } catch (error) {
    if (error.code !== "closed") note(channel, explain(error), "error");
  } finally {
    earlier.disabled = false;
  }
}

function keepDraft(channel, draft) {
  rooms.get(channel).draft = draft;
  keepDrafts();
}

function keepDrafts() {
  store("drafts", Object.fromEntries([...rooms].map(([each, { draft }]) => [each, draft])), "sessionStorage");
}

function removeRoom(channel) {
  const { log, item } = rooms.get(channel);
  rooms.delete(channel);
  keepDrafts();
  log.remove();
  item.remove();
  remember();
  if (current === channel) show(EVERYONE);
  $("text").focus();
  if (channel !== ONLY_YOU) client?.unsubscribe(channel).catch((error) => note(current, explain(error), "error"));
}

function remember() {
  store("rooms", [...rooms].filter(([channel]) => channel !== ONLY_YOU)
    .map(([channel, { joinedAt, readAt }]) => ({ channel, joinedAt, readAt })));
}

function show(channel) {
  current = channel;
  for (const [each, { go, log }] of rooms) {
    if (each === channel) go.setAttribute("aria-current", "true");
    else go.removeAttribute("aria-current");
    log.hidden = each !== channel;
  }
  const { name, log, item, draft } = rooms.get(channel);
  $("text").value = draft;
  $("text").disabled = $("send").disabled = channel === ONLY_YOU;
  showProblem("");
  read(channel);
  log.scrollTop = log.scrollHeight;
  $("below").hidden = true;
  item.scrollIntoView({ block: "nearest", inline: "nearest" });
  $("text").placeholder = channel === EVERYONE ? "Say something to everyone"
    : channel === ONLY_YOU ? "Only the server writes here" : `Say something in ${name}`;
  $("people-title").textContent = channel === EVERYONE ? "Who is connected"
    : channel === ONLY_YOU ? "Nobody else is here" : `Who is in ${name}`;
  listPeople();
}

/** All that the channel shows was read, if the page is on view. */
function read(channel) {
  if (document.hidden) return;
  const room = rooms.get(channel);
  room.readAt = room.latest;
  countUnread(channel, 0);
  remember();
}

function countUnread(channel, count) {
  const { unread } = rooms.get(channel);
  unread.hidden = count === 0;
  unread.dataset.count = count;
  unread.replaceChildren(String(count), element("span", { className: "away", textContent: " unread" }));
  showTitle();
}

function showTitle() {
  const count = [...rooms.values()].reduce((sum, { unread }) => sum + Number(unread.dataset.count ?? 0), 0);
  document.title = `${count ? `(${count}) ` : ""}${rooms.get(current)?.name ?? ""} – Chat`;
}

document.addEventListener("visibilitychange", () => read(current));

$("join").onsubmit = async (submit) => {
  submit.preventDefault();
  const channel = $("channel").value.trim();
  if (!channel || !client) return;
  $("join-error").textContent = "";
  if (channel !== EVERYONE && !CHANNEL.test(channel)) {
    $("join-error").textContent = "A channel's name has letters, digits and . : / _ - only, and no spaces.";
    return;
  }
  try {
    if (!rooms.has(channel)) {
      await client.subscribe(channel);
      if (!rooms.has(channel)) addRoom(channel, { isNew: false });
    }
    $("channel").value = "";
    show(channel);
    showJoin(false);
    $("text").focus();
  } catch (error) {
    $("join-error").textContent = explain(error);
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
  const sender = { connectionId: "you", ...client?.identity, name: message.name };
  const line = addLine(channel, { sender, text, sentAt: Date.now(), kind: "own pending" });
  const status = line.querySelector(".status");
  const mine = { channel, text, line, status, heard: [] };
  own.set(key, mine);
  status.textContent = client?.state.name === "open" ? "" : "Will be sent once there is a connection.";
  rooms.get(channel).log.scrollTop = rooms.get(channel).log.scrollHeight;
  client.send(channel, message).then(({ id, failed }) => {
    arrived(mine);
    if (failed) status.textContent = `${failed} did not get it.`;
    mine.id = id;
    lines.set(id, line);
    const heard = mine.heard.find((frame) => frame.id === id);
    if (heard) confirm(mine, heard);
  }, (error) => {
    if (mine.heard.length > 0) return; // It was said, so it was sent: only the answer is missing.
    const { log } = rooms.get(channel) ?? {};
    const wasAtEnd = log && isAtEnd(log);
    line.classList.replace("pending", "failed");
    status.textContent = `Not sent. ${explain(error)} `;
    if (!FINAL.includes(error.code)) {
      const again = element("button", { type: "button", textContent: "Send again" });
      // Under the same key: what seemed lost may come yet.
      again.onclick = () => { line.remove(); say(channel, text, key); $("text").focus(); };
      status.append(again);
    }
    if (wasAtEnd) log.scrollTop = log.scrollHeight;
  });
}

/** Others have our message. */
function arrived({ line, status }) {
  if (line.matches(".pending, .failed")) status.textContent = "";
  line.classList.remove("pending", "failed");
}

/** Takes over what the server says of our message: only the ack's id tells that it is ours, as others can copy a key. */
function confirm({ channel, line }, { id, from, principal, message, sentAt }) {
  isSelf({ connectionId: from, principal });
  nameLine(line, { connectionId: from, principal, name: message.name });
  copies.add(copyOf({ channel, principal, message }));
  advance(channel, sentAt);
  put(line, { id, sentAt });
}

function hear(frame) {
  const { id, channel = ONLY_YOU, from, principal, message, sentAt } = frame;
  const { name, text, key } = Object(message);
  const mine = from === undefined ? undefined : own.get(key);
  if (mine?.channel === channel && mine.text === text) {
    if (mine.id === id) return confirm(mine, frame);
    mine.heard.push(frame);
    return arrived(mine);
  }
  if (lines.has(id)) return;
  if (from !== undefined && key !== undefined) {
    // The same message again, whose answer was lost. What differs in anything that one sees is another.
    const copy = copyOf(frame);
    if (copies.has(copy)) return;
    copies.add(copy);
  }
  // To a user or a connection, and not to the channel on view.
  if (!rooms.has(channel) && (channel === ONLY_YOU || channel.startsWith("user:"))) addRoom(channel, { isNew: false });
  if (!rooms.has(channel)) return; // One that was just left.
  const sender = { connectionId: from, principal, name };
  const isOwn = selves.has(from);
  if (!isOwn && learn(sender)) listPeople();
  const said = [message, text].find((each) => typeof each === "string") ?? JSON.stringify(message);
  const kind = from === undefined ? "server" : isOwn ? "own" : "";
  addLine(channel, { sender, text: said, sentAt, kind, id }).title = from === undefined ? "" : `Connection ${from}`;
  const room = rooms.get(channel);
  if (!isOwn && (channel !== current || document.hidden) && sentAt > room.readAt) {
    countUnread(channel, Number(room.unread.dataset.count ?? 0) + 1);
  }
  advance(channel, sentAt);
}

function copyOf({ channel, principal, message: { name, text, key } }) {
  return JSON.stringify([channel, principal, name, text, key]);
}

/** The channel was heard until then. */
function advance(channel, sentAt) {
  const room = rooms.get(channel);
  if (!room || sentAt <= room.latest) return;
  room.latest = sentAt;
  if (channel === current) read(channel);
}

function note(channel, text, kind = "", sentAt = Date.now()) {
  addLine(rooms.has(channel) ? channel : current, { text, sentAt, kind: `note ${kind}` });
}

function announce({ channel, connectionId, principal, at }, what) {
  if (selves.has(connectionId)) return;
  if (rooms.has(channel)) note(channel, `${nameOf({ connectionId, principal })} ${what}.`, "", at);
  listPeople();
}

function addLine(channel, { sender, text, sentAt, kind, id }) {
  const line = lineOf({ sender, text, kind });
  put(line, { id, sentAt }, rooms.get(channel).list);
  return line;
}

/** Puts a line where its time says, and keeps the end on view if it was. */
function put(line, { id, sentAt }, list = line.parentElement) {
  if (!list) return; // The channel was left.
  const log = list.parentElement;
  const wasAtEnd = isAtEnd(log);
  if (id) lines.set(id, line);
  place(line, { id, sentAt }, list);
  if (log.hidden) return;
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
  else if (line === list.lastElementChild) $("below").hidden = false;
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
  // Before the draft is gone: the server would close the connection for it.
  const message = { name: $("name").value.trim(), text, key: crypto.randomUUID() };
  const surplus = sizeOf({ action: "send", channel: current, message, id: "-".repeat(ID_LENGTH) }) - LARGEST_FRAME;
  if (surplus > 0) return showProblem(`The message is too long. Shorten it by about ${surplus.toLocaleString("en")} characters.`);
  say(current, text);
  $("text").value = "";
  keepDraft(current, "");
};

function showProblem(text) {
  $("problem").textContent = text;
  $("text").ariaInvalid = text ? "true" : "false";
}

$("text").oninput = () => {
  showProblem("");
  keepDraft(current, $("text").value);
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
    const channel = current;
    if (channel === ONLY_YOU) return showPeople([]);
    if (client?.state.name !== "open") return;
    try {
      const { members, next } = await client.list(channel);
      if (channel === current) showPeople(members, next && "And others.");
    } catch (error) {
      if (channel === current) showPeople([], explain(error));
    }
  }, 200);
}

function showPeople(members, more = "") {
  arePresent(members);
  for (const { list } of rooms.values()) nameAll(list);
  const byName = (a, b) => nameOf(a).localeCompare(nameOf(b));
  $("people").replaceChildren(...members.sort(byName).map((member) => {
    const { connectionId, connectedAt } = member;
    const item = element("li", { title: `Connection ${connectionId}` });
    const name = nameOf(member);
    const who = name + (selves.has(connectionId) ? " (you)" : "");
    const since = element("span", { className: "since", textContent: clock(connectedAt) });
    since.prepend(element("span", { className: "away", textContent: "since " }));
    item.append(avatar(name), element("span", { className: "who", textContent: who }), since);
    return item;
  }));
  $("people-more").textContent = more;
  $("show-people").textContent = `People (${members.length}${more ? "+" : ""})`;
}

$("name").onchange = () => store("name", $("name").value.trim());

// --- the start -------------------------------------------------------------------------------------

$("name").value = stored("name") || `guest-${Math.random().toString(36).slice(2, 6)}`;
const before = new Map([stored("rooms")].flat().filter(Boolean).map(({ channel, ...room }) => [channel, { ...room, isNew: false }]));
addRoom(EVERYONE, before.get(EVERYONE));
for (const [channel, room] of before) if (CHANNEL.test(channel)) addRoom(channel, room);
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
