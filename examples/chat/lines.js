// The lines of a channel: each at its place in time, grouped by who says them and by day.

import { clock, dayOf, element, withLinks } from "./dom.js";
import { hueOf, initialsOf, nameOf } from "./names.js";

/** Who says something again after so long is named again. */
const GROUP_MS = 5 * 60_000;

/** The senders of the lines that are shown. */
const senders = new WeakMap();

/** Makes a line that says something. `sender` is who is named; without one, it is a note of the page. */
export function lineOf({ sender, text, kind }) {
  const line = element("li", { className: kind });
  const words = element("span", { className: "text", dir: "auto" });
  words.append(...withLinks(text));
  line.append(element("span", { className: "day" }), avatar(), element("span", { className: "from", dir: "auto" }), words, element("time"),
    element("span", { className: "status" }));
  if (sender) name(line, sender);
  return line;
}

/** Names the sender of a line. */
export function name(line, sender) {
  senders.set(line, sender);
  const who = nameOf(sender);
  const from = line.querySelector(".from");
  if (from.textContent === who) return;
  from.textContent = who;
  showAs(line.querySelector(".avatar"), who);
}

/** The picture of somebody: initials on a colour. */
export function avatar(who) {
  const picture = element("span", { className: "avatar", ariaHidden: "true" });
  return who ? showAs(picture, who) : picture;
}

function showAs(picture, who) {
  picture.dataset.initials = initialsOf(who);
  picture.style.setProperty("--hue", hueOf(who));
  return picture;
}

/** Names all senders anew: one may have taken the name of another. */
export function nameAll(list) {
  for (const line of list.children) {
    if (senders.has(line)) name(line, senders.get(line));
    group(line);
  }
}

/** Puts a line where its time says: what was missed comes after what is new. */
export function place(line, { id = "", sentAt }, list = line.parentElement) {
  line.dataset.at = String(sentAt).padStart(15, "0") + id;
  line.dataset.sentAt = sentAt;
  const time = line.querySelector("time");
  time.dateTime = new Date(sentAt).toISOString();
  time.title = new Date(sentAt).toLocaleString();
  time.textContent = clock(sentAt);
  const before = [...list.children].findLast((other) => other !== line && other.dataset.at <= line.dataset.at);
  const after = line.nextElementSibling;
  if (before) before.after(line);
  else list.prepend(line);
  for (const each of [line, line.nextElementSibling, after]) if (each) group(each);
}

/** Who says several things in a row is named once, and so is the day. */
function group(line) {
  const before = line.previousElementSibling;
  const day = dayOf(Number(line.dataset.sentAt));
  const isFirst = !before || dayOf(Number(before.dataset.sentAt)) !== day;
  line.querySelector(".day").textContent = isFirst ? day : "";
  const isMore = !isFirst && senders.has(line) && senders.has(before) && whose(line) === whose(before)
    && line.dataset.sentAt - before.dataset.sentAt < GROUP_MS;
  line.classList.toggle("more", isMore);
}

/** Whose line it is: after a reconnect, too, when the connection is another one. */
function whose(line) {
  return [line.classList.contains("own"), line.classList.contains("server"), line.querySelector(".from").textContent].join();
}
