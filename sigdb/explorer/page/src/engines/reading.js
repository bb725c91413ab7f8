// Which statements the page asks: exactly one, which only reads. `sigdb serve` has the same rule, in sigdb/serve/reading.py.

const READS = ["SELECT", "FROM", "WITH", "VALUES", "TABLE", "PIVOT", "UNPIVOT", "DESCRIBE", "DESC", "SUMMARIZE", "SHOW", "EXPLAIN"];
const ALLOWED = "A query here is one statement that reads: SELECT, FROM, WITH, VALUES, TABLE, PIVOT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN.";
// DuckDB takes these characters as spaces, but its list of tokens takes them as letters.
const SPACES = /[\u00a0\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]/g;
const COMMENT = 5;

// Why a text cannot be asked, in words; null if it can. tokenize: DuckDB's own list of tokens, {offsets in bytes, types}.
export async function refusal(sql, tokenize) {
  if (sql.includes("\0")) return "A statement cannot have a character 0.";
  for (const text of new Set([sql, sql.replace(SPACES, " ")])) {
    const refused = refusalOf(text, await tokenize(text));
    if (refused) return refused;
  }
  return null;
}

export function refusalOf(sql, { offsets, types }) {
  const words = wordsOf(sql, [...offsets].filter((_, n) => types[n] !== COMMENT));
  while (words.at(-1) === ";") words.pop();
  if (!words.length) return `There is no statement. ${ALLOWED}`;
  if (words.includes(";")) return `These are several statements. ${ALLOWED}`;
  const asked = withoutExplain(words);
  const first = asked.find((word) => word !== "(") ?? "EXPLAIN";
  return READS.includes(first) ? null : `${first}${asked === words ? "" : " after EXPLAIN"} is not allowed. ${ALLOWED}`;
}

// The words of a text in capitals, and its signs: what begins at the places of its tokens.
function wordsOf(sql, offsets) {
  const bytes = new TextEncoder().encode(sql);
  const decoder = new TextDecoder();
  return offsets.map((start, n) => decoder.decode(bytes.subarray(start, offsets[n + 1])).match(/^(\w+|.)/su)[0].toUpperCase());
}

// The words after EXPLAIN, ANALYZE and options in brackets: EXPLAIN ANALYZE runs its statement.
function withoutExplain(words) {
  if (words[0] !== "EXPLAIN") return words;
  const rest = words.slice(words[1] === "ANALYZE" ? 2 : 1);
  const isOption = rest[0] === "(" && !READS.includes(rest.find((word) => word !== "("));
  return isOption ? rest.slice(rest.indexOf(")") + 1) : rest;
}
