// What connections are called. Without an authorizer, each gives itself a name: one that is another's is told apart.

export const SERVER = "Server";

/** The name that each connection last gave itself, in the order in which they took them. */
const given = new Map();
/** The principals that spoke, or are there. */
const principals = new Set();
/** The connections that are there, as far as the page knows. */
let present = new Set();

const { compare } = new Intl.Collator("en", { sensitivity: "base", ignorePunctuation: true });

/** A connection spoke, or is ours. Says whether anything of it is news. */
export function learn({ connectionId, principal, name }) {
  if (connectionId === undefined) return false;
  const said = cleaned(name);
  const isRenamed = !principal && said !== "" && given.get(connectionId) !== said;
  const isNews = isRenamed || !present.has(connectionId) || (principal && !principals.has(principal));
  present.add(connectionId);
  if (principal) principals.add(principal);
  if (isRenamed) {
    given.delete(connectionId);
    given.set(connectionId, said);
  }
  return isNews;
}

/** These connections are there, and no others. */
export function arePresent(members) {
  present = new Set(members.map(({ connectionId }) => connectionId));
  for (const { principal } of members) if (principal) principals.add(principal);
}

/**
 * What a connection is called: by the authorizer, or by itself. Without a connection, it is the server. A client whose name
 * is that of the server, of a principal or of one that is there and had it before, is called by its connection first.
 */
export function nameOf({ connectionId, principal, name }) {
  if (connectionId === undefined) return SERVER;
  if (principal) return principal;
  const guest = `Guest ${connectionId.slice(0, 4)}`;
  const said = cleaned(name) || given.get(connectionId);
  if (!said) return guest;
  return isTaken(said, connectionId) || isMixed(said) ? `${guest} (“${said}”)` : said;
}

function isTaken(name, connectionId) {
  if ([SERVER, ...principals].some((other) => compare(other, name) === 0)) return true;
  const holders = [...given].filter(([holder, said]) => present.has(holder) && compare(said, name) === 0);
  return holders.length > 0 && present.has(connectionId) && holders[0][0] !== connectionId;
}

/** Whether letters of alphabets that look alike are mixed. */
function isMixed(name) {
  return /\p{Script=Latin}/u.test(name) && /[\p{Script=Cyrillic}\p{Script=Greek}]/u.test(name);
}

function cleaned(name) {
  return typeof name === "string" ? name.replace(/\p{C}/gu, "").trim().slice(0, 40) : "";
}

/** The letters that stand for a name. */
export function initialsOf(name) {
  const words = name.match(/[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu) ?? ["?"];
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...word][0].toUpperCase()).join("");
}

/** The colour that stands for a name, as an angle. */
export function hueOf(name) {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 360;
  return hash;
}
