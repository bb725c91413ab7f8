// Notes of findings. The words and limits are those of Python, in the catalog.

const isNumber = (value) => typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value));
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0, roundingMode: "halfEven" });
const TENTH = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false });
const PERCENT = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const FORMATS = { ",.0f": WHOLE, ".1f": TENTH };

// A text of the catalog with values in its places: {name} or {name:format}, as Python writes them.
export function inWords(text, values) {
  return text.replace(/{(\w+)(?::([^}]*))?}/g, (_, name, form) => (form ? FORMATS[form].format(values[name]) : String(values[name])));
}

// The lines of a chart: what its marks mean, and what it does not show. `left_out` of sigdb.findings.plots does the same.
export function chartNotes(rows, about) {
  return [...about.legend, ...leftOut(rows, about)];
}

export function leftOut(rows, about) {
  const own = rows.filter((row) => about.unless === null || row[about.unless] === null);
  let drawn = own.filter((row) => about.needs.every((column) => isNumber(row[column])));
  const lost = own.length - drawn.length;
  const lines = [];
  for (const limit of about.limits) {
    const ranked = highest(drawn, limit);
    if (ranked.length > limit.n) {
      lines.push(`The ${WHOLE.format(limit.n)} highest of ${WHOLE.format(ranked.length)} ${limit.what}; ${WHOLE.format(ranked.length - limit.n)} are left out.`);
      const kept = new Set(ranked.slice(0, limit.n));
      drawn = drawn.filter((row) => kept.has(groupOf(row, limit)));
    }
  }
  if (lost) lines.push(`Not drawn, because a value is missing: ${WHOLE.format(lost)} of ${WHOLE.format(own.length)}.`);
  return lines;
}

function groupOf(row, limit) {
  return JSON.stringify(limit.columns.map((column) => String(row[column])));
}

// The groups of some rows, the highest first.
function highest(rows, limit) {
  const values = new Map();
  for (const row of rows) {
    const group = groupOf(row, limit);
    const value = row[limit.by];
    if (limit.how === "sum") values.set(group, (values.get(group) ?? 0) + Math.abs(value ?? 0));
    else values.set(group, Math.max(values.get(group) ?? -Infinity, isNumber(value) ? value : -Infinity));
  }
  return [...values].sort(([one, a], [other, b]) => (a === b ? (one < other ? -1 : 1) : b - a)).map(([group]) => group);
}

// Sentences on how groups differ in depth and in coverage: `warn_of_differences` of sigdb.findings.comparability.
export function warnings(rows, columns, consequence, { words }) {
  const groups = rows.map((row) => ({
    ...row,
    least_measured: row.least_measured ?? row.n_measured ?? null,
    // A group that is named twice, as a study among studies, has one name.
    group: [...new Set(columns.map((column) => row[column]))].filter((value) => value !== null).join(", ") || "no group",
  }));
  const depth = Object.entries(words.depths).map(([column, what]) => spread(groups, column, what, consequence, words)).find(Boolean);
  return [depth, unevenCoverage(groups, words)].filter(Boolean);
}

function spread(groups, column, what, consequence, words) {
  const ends = extremes(groups, (row) => row[column] ?? null);
  if (!ends || ends[1][column] <= words.depth_factor * Math.max(ends[0][column], 1)) return null;
  const [low, high] = ends;
  const times = high[column] / Math.max(low[column], 1);
  return inWords(words.depth, { low: low.group, low_value: low[column], high: high.group, high_value: high[column], what, times, consequence });
}

function unevenCoverage(groups, words) {
  const part = (row) => (row.n_genes ? row.least_measured / row.n_genes : null);
  const ends = extremes(groups, part);
  if (!ends || part(ends[1]) - part(ends[0]) <= words.coverage_step) return null;
  const [low, high] = ends;
  return inWords(words.coverage, { n_genes: high.n_genes, low: low.group, low_value: low.least_measured, high: high.group, high_value: high.least_measured });
}

// The first group of lowest value and the first of highest value; null if fewer than two groups have one.
function extremes(groups, value) {
  const known = groups.filter((row) => value(row) !== null);
  if (known.length < 2) return null;
  const best = (isBetter) => known.reduce((best, row) => (isBetter(value(row), value(best)) ? row : best));
  return [best((a, b) => a < b), best((a, b) => a > b)];
}

// What was left out and why, the commonest reason first: `left_out_note` of sigdb.answers. reasons: counts by reason.
export function leftOutNote(what, reasons) {
  const known = Object.entries(reasons).filter(([, n]) => n > 0);
  if (!known.length) return [];
  const total = known.reduce((sum, [, n]) => sum + n, 0);
  known.sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));
  const many = `${WHOLE.format(total)} ${what}${total === 1 ? "" : "s"}`;
  if (known.length === 1) return [`Left out ${many} (${known[0][0]}).`];
  return [`Left out ${many}: ${known.map(([reason, n]) => `${WHOLE.format(n)} (${reason})`).join(", ")}.`];
}

export function counts(values) {
  const found = {};
  for (const value of values) if (value !== null) found[value] = (found[value] ?? 0) + 1;
  return found;
}

// The rows by their key, in their order.
export function groupBy(rows, keyOf) {
  const groups = new Map();
  for (const row of rows) {
    const key = keyOf(row);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return groups;
}

export function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  return Number.isInteger(middle) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)];
}

export function percent(part) {
  return PERCENT.format(part);
}

export function whole(value) {
  return WHOLE.format(value);
}

export function ordinal(value) {
  const ends = { one: "st", two: "nd", few: "rd", other: "th" };
  return `${value}${Number.isInteger(value) ? ends[new Intl.PluralRules("en", { type: "ordinal" }).select(value)] : "th"}`;
}
