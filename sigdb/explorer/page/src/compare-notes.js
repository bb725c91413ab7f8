// The notes of a comparison: those of sigdb/findings/comparison_notes.py.
import { DEPTHS } from "./compare.js";
import { leftOutNote, warnings } from "./notes.js";

const VALUES = {
  z: "Means are of z: standard deviations above matched control genes in cells of the same study and depth.",
  hits: "A hit is above the 99th percentile of the scores of matched control genes at the same depth.",
};

export function comparisonNotes(rows, units, lost, design, catalog) {
  const renamed = Object.keys(lost).some((reason) => reason.includes("names no")) ? [catalog.words.rename] : [];
  return [VALUES[design.of], ...unitNotes(rows, units, design), ...leftOutNote("unit", lost), ...renamed, ...depthNotes(rows, catalog)];
}

export function nothingCompared(units, { by, reference, within }) {
  const studiesOf = (isReference) => [...new Set(units.filter((unit) => (unit.group === reference) === isReference).map((unit) => unit.study))].sort();
  const studies = (isReference) => studiesOf(isReference).join(", ") || "none";
  const both = studiesOf(true).filter((study) => studiesOf(false).includes(study));
  return `Nothing was compared: no study has units of ${reference} and of another ${by.replaceAll("_", " ")}${within ? ` within one ${within.replaceAll("_", " ")}` : ""}. `
    + `Studies with ${reference}: ${studies(true)}; with another: ${studies(false)}.${within && both.length ? " Choose within all cells to compare all cells of a unit together." : ""}`;
}

// Units that are not replicates, that have no donor, or that have no partner.
function unitNotes(rows, units, { unit, minUnits }) {
  const repeated = rows.filter((row) => row.n_donors > 0 && row.n_donors < replicates(row)).length;
  const unknown = units.filter((each) => !each.donors.length).length;
  const unpaired = rows.filter((row) => row.test === "paired t").reduce((sum, row) => sum + row.n_unpaired, 0);
  return [
    repeated > 0 && `Comparisons of more ${unit}s than donors: ${repeated}. Several ${unit}s of one donor are not replicates. Groups of fewer than ${minUnits} donors are not tested.`,
    unknown > 0 && `Units without a donor in the atlas: ${unknown}. Each counts as a donor of its own.`,
    unpaired > 0 && `Units without a partner in the other group: ${unpaired}. The paired test of a study leaves them out.`,
  ].filter(Boolean);
}

// The independent units that the sizes of a comparison promise; the two units of a pair count once.
function replicates(row) {
  return row.test === "paired t" ? row.n_pairs : row.n_group + row.n_reference - row.n_pairs;
}

// A warning about the comparison whose groups differ most in depth.
function depthNotes(rows, catalog) {
  const pairs = rows.filter((row) => row.p_value !== null).map((row) => ["group", "reference"].map((side) => ({
    group: `${row[side]} (${row.study})`, ...Object.fromEntries(DEPTHS.map((name) => [name, row[`${name}_${side}`]])),
  })));
  const warn = (pair) => warnings(pair, ["group"], catalog.words.compared, catalog);
  const differing = pairs.filter((pair) => warn(pair).length);
  if (!differing.length) return [];
  const deepest = differing.reduce((one, other) => (depthRatio(other) > depthRatio(one) ? other : one));
  return [`In ${differing.length} of ${pairs.length} comparisons within a study, the groups differ in depth.`, ...warn(deepest)];
}

// How many times as deep the deeper of two groups is, by detected genes, or by counts if these are unknown.
function depthRatio(pair) {
  const known = DEPTHS.toReversed().map((name) => pair.map((row) => row[name])).find((values) => !values.includes(null));
  return known ? Math.max(...known) / Math.max(Math.min(...known), 1) : 1;
}
