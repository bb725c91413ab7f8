// Compare groups of donors within each study: `sigdb.compare` for designs without covariates. A study whose donors repeat
// without pairs needs a linear model, which Python fits.
import { groupBy, median } from "./notes.js";
import { adjust, independent, paired } from "./statistics.js";

export const VALUES = { z: "z", hits: "hit_rate" };
export const DEPTHS = ["median_counts", "median_detected"];

// The units that can be compared, those that are only too small, and how many are left out by reason.
// design: {by, reference, unit, within, pairedBy, minCells, minUnits, of}; within and pairedBy may be null.
export function comparableUnits(rows, design, none) {
  const units = [];
  const small = [];
  const lost = {};
  for (const row of rows) {
    const reason = reasonToLeaveOut(row, design, none);
    if (reason) lost[reason] = (lost[reason] ?? 0) + 1;
    if (!reason) units.push(unitOf(row, design, none));
    else if (reason === tooSmall(design)) small.push(unitOf(row, design, none));
  }
  return { units, small, lost };
}

function unitOf(row, design, none) {
  const text = (value) => (value === null ? null : String(value));
  return {
    ...row,
    within: design.within ? text(row.within) : null,
    group: text(row.group),
    unit: text(row.unit),
    pair: design.pairedBy ? text(row.pair) : null,
    donors: row.donors.filter((donor) => donor !== null && !namesNone("donor", donor, none)),
    value: row[VALUES[design.of]],
  };
}

function reasonToLeaveOut(row, { by, unit, within, pairedBy, minCells, of }, none) {
  const columns = { group: by, unit, within, pair: pairedBy };
  for (const [name, column] of Object.entries(columns)) {
    if (column === null) continue;
    if (row[name] === null) return `no ${column}`;
    if (namesNone(column, row[name], none)) return `'${row[name]}' names no ${column}`;
  }
  if (row[VALUES[of]] === null) return row.n_measured ? "the controls do not vary" : "no gene measured";
  return row.n_cells < minCells ? tooSmall({ minCells }) : null;
}

function tooSmall({ minCells }) {
  return `fewer than ${minCells} cells`;
}

export function namesNone(field, value, none) {
  return typeof value === "string" && (none[field] ?? []).includes(value.trim().toLowerCase().replaceAll("_", " "));
}

// One row per value of `within`, group and study, with q values. Raises an error for groups that are not independent.
export function compareUnits(units, design) {
  const parts = [...groupBy(units, (unit) => JSON.stringify([unit.within ?? "", unit.study])).values()];
  parts.sort(([one], [other]) => order(one.within ?? "", other.within ?? "") || order(one.study, other.study));
  const found = new Map();
  for (const part of parts) {
    const groups = groupBy(part, (unit) => unit.group);
    const reference = groups.get(design.reference);
    if (!reference) continue;
    for (const group of [...groups.keys()].filter((name) => name !== design.reference).sort(order)) {
      const key = JSON.stringify([part[0].within, group]);
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(testStudy(groups.get(group), reference, design));
    }
  }
  return withQ([...found.values()].flatMap((rows) => {
    const tested = rows.filter((row) => row.p_value !== null);
    return rows.map((row) => ({ ...row, is_finding: tested.length === 1 && tested[0] === row }));
  }));
}

function order(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}

// The findings are adjusted together, and so are the studies of comparisons with several studies.
function withQ(rows) {
  const q = new Map();
  for (const family of [true, false]) {
    const members = rows.filter((row) => row.is_finding === family);
    adjust(members.map((row) => row.p_value)).forEach((value, n) => q.set(members[n], value));
  }
  return rows.map((row) => ({ ...row, q_value: q.get(row) }));
}

function testStudy(group, reference, design) {
  const fewest = Math.max(design.minUnits, 2);
  const pairs = pairsOf(group, reference, design);
  const isPaired = pairs.length >= fewest;
  const isKept = (unit) => !isPaired || pairs.includes(unit.pair);
  const sides = [group.filter(isKept), reference.filter(isKept)];
  const unpaired = pairs.length ? [...group, ...reference].filter((unit) => !pairs.includes(unit.pair)).length : 0;
  const { test, note, numbers } = chosenTest(group, reference, pairs, design, fewest);
  const sizes = sizesOf(sides, pairs.length, unpaired);
  const { mean_group, mean_reference, ...rest } = numbers ?? NOTHING;
  const isConstant = numbers && rest.p_value === null;
  return {
    within: group[0].within, group: group[0].group, reference: design.reference, study: group[0].study, test,
    note: isConstant ? `the ${test === "paired t" ? "differences" : "scores"} do not vary` : note, ...sizes, ...rest,
  };
}

const NOTHING = Object.fromEntries(["difference", "difference_se", "difference_low", "difference_high", "hedges_g", "g_se", "g_low", "g_high", "p_value"].map((name) => [name, null]));

function chosenTest(group, reference, pairs, design, fewest) {
  const smallest = Math.min(group.length, reference.length);
  const donors = Math.min(...[group, reference].map((side) => new Set(side.map((unit) => JSON.stringify(unit.donors.length ? unit.donors : clusterOf(unit)))).size));
  if (smallest < fewest) return { test: "none", note: `fewer than ${fewest} units in a group` };
  if (donors < fewest) return { test: "none", note: `fewer than ${fewest} donors in a group; ${design.unit}s of one donor are not replicates` };
  if (pairs.length >= fewest) {
    const means = [group, reference].map((side) => pairs.map((pair) => mean(side.filter((unit) => unit.pair === pair))));
    return { test: "paired t", note: pairs.length > 2 ? null : "too few pairs for an effect size", numbers: paired(...means) };
  }
  const units = [...group, ...reference];
  if (pairs.length || new Set(units.map((unit) => JSON.stringify(clusterOf(unit)))).size < units.length) {
    return { test: "none", note: "donors repeat: sigdb.compare in Python fits a linear model" };
  }
  const values = [group, reference].map((side) => side.map((unit) => unit.value));
  return { test: "Welch t", note: smallest > 2 ? null : "too few units for an effect size", numbers: independent(...values) };
}

// What a unit shares with units that are not independent of it.
export function clusterOf({ pair, donors, unit }) {
  if (pair !== null) return ["pair", pair];
  return ["donor", ...(donors.length ? donors : ["", unit])];
}

function pairsOf(group, reference, design) {
  if (design.pairedBy) {
    const others = new Set(reference.map((unit) => unit.pair));
    return [...new Set(group.map((unit) => unit.pair))].filter((pair) => others.has(pair)).sort(order);
  }
  const donors = new Set(reference.flatMap((unit) => unit.donors));
  const both = [...new Set(group.flatMap((unit) => unit.donors))].filter((donor) => donors.has(donor)).sort(order);
  if (!both.length) return [];
  throw new Error(
    `${both.length} donors of ${group[0].study} have cells in both ${group[0].group} and ${design.reference} (${both.slice(0, 3).join(", ")}${both.length > 3 ? " …" : ""}), `
    + "so the groups are not independent. Choose pairs of donors.");
}

function sizesOf([group, reference], n_pairs, n_unpaired) {
  const sum = (side) => side.reduce((total, unit) => total + unit.n_cells, 0);
  return {
    n_group: group.length, n_reference: reference.length, n_pairs, n_unpaired,
    n_donors: new Set([...group, ...reference].flatMap((unit) => unit.donors)).size,
    n_cells_group: sum(group), n_cells_reference: sum(reference),
    mean_group: mean(group), mean_reference: mean(reference),
    ...depthsOf(group, "group"), ...depthsOf(reference, "reference"),
  };
}

function depthsOf(units, side) {
  return Object.fromEntries(DEPTHS.map((name) => {
    const known = units.map((unit) => unit[name]).filter((value) => value !== null);
    return [`${name}_${side}`, known.length ? median(known) : null];
  }));
}

function mean(units) {
  return units.reduce((sum, unit) => sum + unit.value, 0) / units.length;
}

// The rows of the forest plot, and the ends of its axis: `forest_row` and `cut_intervals` of sigdb.findings.plots.
export function forestRows(tests) {
  return tests.map((row, place) => ({
    ...row,
    place,
    name: [row.within, row.group, row.study].filter(Boolean).join(", "),
    kind: "one study",
    units: `${row.n_group} / ${row.n_reference}`,
    effect: row.hedges_g,
    low: row.g_low,
    high: row.g_high,
    estimate: estimate(row),
    p: small(row.p_value),
    q: small(row.q_value),
  }));
}

export function forestLimits(rows) {
  const effects = rows.map((row) => Math.abs(row.effect ?? 0));
  const largest = Math.max(0, ...effects) || 1;
  const ends = rows.flatMap((row) => [row.low, row.high, row.effect]).filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const room = 0.04 * (high - low) || 1;
  return [Math.max(low - room, -5 * largest), Math.min(high + room, 5 * largest)];
}

function estimate(row) {
  if (row.hedges_g !== null) return `${number(row.hedges_g)} (${number(row.g_low)} to ${number(row.g_high)})`;
  return row.p_value === null ? `not tested: ${row.note ?? "no p value"}` : (row.note ?? "no effect size");
}

function number(value) {
  const isPlain = value === 0 || (Math.abs(value) >= 0.095 && Math.abs(value) < 10_000);
  return (isPlain ? value.toFixed(2) : String(Number(value.toPrecision(2)))).replace("-", "\u2212");
}

function small(value) {
  return value === null ? "" : value < 1e-4 ? value.toExponential(1) : value.toPrecision(2);
}
