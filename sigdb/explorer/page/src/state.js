// The state of the page is the hash of its address, so that a link leads to what the reader sees.

export const FILTERS = ["study", "cell_type", "disease", "tissue", "donor"];
// These have lists of values; all others have one.
const LISTS = new Set([...FILTERS, "s"]);

// A missing value is \N, as in files of databases; a text that begins with a backslash gets one more.
function encode(value) {
  if (value === null) return "\\N";
  return value.startsWith("\\") ? `\\${value}` : value;
}

function decode(text) {
  if (text === "\\N") return null;
  return text.startsWith("\\\\") ? text.slice(1) : text;
}

export function readHash(hash) {
  const state = {};
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (LISTS.has(name)) (state[name] ??= []).push(decode(text));
    else state[name] = decode(text);
  }
  return state;
}

export function writeHash(state) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    for (const each of LISTS.has(name) ? value : [value]) found.append(name, encode(each));
  }
  return `#${found}`;
}

// Whether the filters of a state keep a group of cells. except: a filter that does not count.
export function keeps(state, group, except = null) {
  return FILTERS.every((name) => name === except || !state[name]?.length || state[name].includes(group[name]));
}

export const NO_FILTERS = Object.fromEntries(FILTERS.map((name) => [name, []]));

// A state with changes. A value of undefined, an empty list or an empty text takes the entry away.
export function changed(state, changes) {
  const all = Object.entries({ ...state, ...changes }).map(([name, value]) => [name, typeof value === "number" || typeof value === "boolean" ? String(value) : value]);
  return Object.fromEntries(all.filter(([name, value]) => value !== undefined && value !== "" && (LISTS.has(name) ? value?.length : value !== null)));
}
