// Small help with the page and the browser.

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

export function clock(time) {
  return new Date(time).toLocaleTimeString([], { timeStyle: "short" });
}

/** The day of a time, as people say it. */
export function dayOf(time) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(time).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0 || days === 1) return days === 0 ? "Today" : "Yesterday";
  const year = new Date(time).getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return new Date(time).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year });
}

const LINK = /\bhttps?:\/\/[^\s<>"]+/giu;

/** A text, and its web addresses as links. Where one leads is in its title: what is shown can be made to look like another. */
export function* withLinks(text) {
  let end = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    // What ends a sentence, or closes a bracket that was opened before, is not part of it.
    const address = found.replace(/[.,:;!?'’”»]+$/u, "").replace(/\)$/u, (bracket) => (found.includes("(") ? bracket : ""));
    if (!URL.canParse(address)) continue;
    const { href } = new URL(address);
    yield text.slice(end, index);
    yield element("a", { href, textContent: address, title: href, target: "_blank", rel: "noopener noreferrer nofollow" });
    end = index + address.length;
  }
  yield text.slice(end);
}

/** What was stored under a name. Nothing is where the browser stores nothing, or something else was stored. */
export function stored(name, storage = "localStorage") {
  try {
    return JSON.parse(window[storage].getItem(name));
  } catch {
    return null;
  }
}

export function store(name, value, storage = "localStorage") {
  try {
    window[storage].setItem(name, JSON.stringify(value));
  } catch {
    // Then a reload begins anew.
  }
}
