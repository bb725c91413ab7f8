// Values as SQL. This is the only place where the page writes a value into a statement.

// SQL that is already written: a condition, or a list of genes.
class Written {
  constructor(sql) {
    this.sql = sql;
  }
}

export function written(sql) {
  return new Written(sql);
}

// A value as a literal of DuckDB: text, number, truth value, NULL, a list of these, a Map, or SQL that is written.
export function literal(value) {
  if (value === null || value === undefined) return "NULL";
  if (value instanceof Written) return value.sql;
  if (value instanceof Map) return `MAP {${[...value].map(([key, each]) => `${literal(key)}: ${literal(each)}`).join(", ")}}`;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `[${Array.from(value, literal).join(", ")}]`;
  switch (typeof value) {
    case "string":
      return text(value);
    case "number":
      return number(value);
    case "bigint":
      return String(value);
    case "boolean":
      return value ? "TRUE" : "FALSE";
  }
  throw new TypeError(`${Object.prototype.toString.call(value)} cannot be written as SQL.`);
}

function text(value) {
  refuseHalves(value);
  // A character 0 would end the statement.
  const parts = value.split("\0").map((part) => `'${part.replaceAll("'", "''")}'`);
  return parts.length > 1 ? `(${parts.join(" || chr(0) || ")})` : parts[0];
}

// With an exponent, a number is a DOUBLE and keeps all digits; without one, 0.1 would be a DECIMAL.
function number(value) {
  if (Object.is(value, -0)) return "-0e0";
  if (Number.isSafeInteger(value)) return String(value);
  return Number.isFinite(value) ? value.toExponential() : `'${value}'::DOUBLE`;
}

// A name of a column or table.
export function identifier(name) {
  refuseHalves(name);
  if (name === "" || name.includes("\0")) throw new TypeError(`${JSON.stringify(name)} cannot be the name of a column.`);
  return `"${name.replaceAll('"', '""')}"`;
}

// Half a surrogate pair is no character: UTF-8 would silently replace it.
function refuseHalves(value) {
  if (/\p{Surrogate}/u.test(value)) throw new TypeError("A text with half a surrogate pair cannot be written as SQL.");
}

// Text in the three ways of DuckDB, quoted names, comments; then $name and words.
const TOKENS = new RegExp(
  [
    /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/, /'(?:[^']|'')*'/, /\$(?<tag>(?:[A-Za-z_]\w*)?)\$[\s\S]*?\$\k<tag>\$/,
    /"(?:[^"]|"")*"/, /--[^\n]*/, /\/\*[\s\S]*?\*\//, /\$[A-Za-z_]\w*/, /[A-Za-z_]\w*/,
  ].map((each) => each.source).join("|"),
  "g",
);

// A statement with its values: $name becomes the literal of values.name, and a word of `words` the SQL given for it.
// Comments and quoted text are left alone.
export function fill(sql, values = {}, words = {}) {
  return sql.replace(TOKENS, (token) => {
    if (Object.hasOwn(words, token)) return words[token];
    if (token[0] !== "$" || token.endsWith("$")) return token;
    const name = token.slice(1);
    if (!Object.hasOwn(values, name)) throw new TypeError(`The statement needs a value for ${token}.`);
    return literal(values[name]);
  });
}

// A condition that a column has one of some values; null stands for a missing value. Null if there are no values.
export function isOneOf(column, values) {
  if (!values?.length) return null;
  const stated = values.filter((each) => each !== null);
  const parts = [];
  if (stated.length) parts.push(`${column} IN (${stated.map(literal).join(", ")})`);
  if (stated.length < values.length) parts.push(`${column} IS NULL`);
  return parts.length > 1 ? `(${parts.join(" OR ")})` : parts[0];
}
