// Answers of both engines: an Arrow table, and its rows as plain values of JavaScript.
import { DataType, TimeUnit } from "apache-arrow";

const NAMES = {
  Utf8: "VARCHAR", LargeUtf8: "VARCHAR", Float64: "DOUBLE", Float32: "FLOAT", Bool: "BOOLEAN", Binary: "BLOB", Null: "NULL",
  Int8: "TINYINT", Int16: "SMALLINT", Int32: "INTEGER", Int64: "BIGINT",
  Uint8: "UTINYINT", Uint16: "USMALLINT", Uint32: "UINTEGER", Uint64: "UBIGINT",
};

// {columns: [{name, type, isNumber}], rows: [{...}], table}. The rows are made when they are first asked for: a reader of
// a million cells takes the columns of the Arrow table instead. Columns of one name get numbers.
export function toResult(table) {
  const taken = new Set(table.schema.fields.map(({ name }) => name));
  const seen = new Set();
  const columns = table.schema.fields.map(({ name, type }) => {
    let own = name;
    for (let n = 2; seen.has(own); n += 1) if (!taken.has(`${name}:${n}`)) own = `${name}:${n}`;
    seen.add(own);
    return { name: own, type: typeName(type), isNumber: isNumber(type) };
  });
  let rows;
  return {
    columns,
    table,
    get rows() {
      rows ??= rowsOf(table, columns);
      return rows;
    },
  };
}

function rowsOf(table, columns) {
  // Without a prototype, a column may have any name, also __proto__.
  const rows = Array.from({ length: table.numRows }, () => Object.create(null));
  table.schema.fields.forEach(({ type }, place) => {
    const { name } = columns[place];
    let at = 0;
    for (const value of table.getChildAt(place) ?? []) rows[at++][name] = plain(value, type);
  });
  return rows;
}

function typeName(type) {
  if (DataType.isDictionary(type)) return typeName(type.dictionary);
  if (DataType.isList(type)) return `${typeName(type.children[0].type)}[]`;
  return NAMES[String(type)] ?? String(type).replace(/<.*$/, "").toUpperCase();
}

function isNumber(type) {
  return DataType.isInt(type) || DataType.isFloat(type) || DataType.isDecimal(type);
}

// A value without classes of Arrow. A whole number that JavaScript cannot hold exactly stays a BigInt.
function plain(value, type) {
  if (value === null || value === undefined) return null;
  if (DataType.isDictionary(type)) return plain(value, type.dictionary);
  if (DataType.isDecimal(type)) return decimal(value, type.scale);
  if (DataType.isDate(type)) return new Date(Number(value)).toISOString().slice(0, 10);
  if (DataType.isTimestamp(type)) return moment(Number(value));
  if (DataType.isTime(type)) return timeOfDay(value, type.unit);
  if (DataType.isList(type)) return Array.from(value, (each) => plain(each, type.children[0].type));
  if (DataType.isMap(type)) {
    const [of, to] = type.children[0].type.children;
    return Object.fromEntries(Array.from(value, ([key, each]) => [plain(key, of.type), plain(each, to.type)]));
  }
  if (DataType.isStruct(type)) return Object.fromEntries(type.children.map((each) => [each.name, plain(value[each.name], each.type)]));
  if (DataType.isBinary(type)) return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return typeof value === "bigint" ? whole(value) : value;
}

function whole(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

// Four words of 32 bits, the lowest first, as a two's complement.
function decimal(words, scale) {
  const bits = [...words].reduceRight((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
  const value = BigInt.asIntN(32 * words.length, bits);
  return scale === 0 ? whole(value) : Number(value) / 10 ** scale;
}

function moment(milliseconds) {
  return new Date(milliseconds).toISOString().slice(0, 23).replace("T", " ").replace(/\.000$/, "");
}

function timeOfDay(value, unit) {
  const perSecond = { [TimeUnit.SECOND]: 1, [TimeUnit.MILLISECOND]: 1e3, [TimeUnit.MICROSECOND]: 1e6, [TimeUnit.NANOSECOND]: 1e9 };
  return new Date((1000 * Number(value)) / perSecond[unit]).toISOString().slice(11, 23).replace(/\.000$/, "");
}
