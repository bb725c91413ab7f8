// The hit rate of each sample, by group, with the cut-off as a slider.
import { namesNone } from "../compare.js";
import { OF_SAMPLES, asked, choice, count, findingTab, showChart, unnamed } from "../finding.js";
import { counts, groupBy, inWords, leftOutNote, median, ordinal, percent, warnings, whole } from "../notes.js";

export default findingTab({
  id: "hits",
  title: "Hits",
  controls: [
    choice("by", "By", OF_SAMPLES, { initial: "disease" }),
    count("percentile", "Cut-off, percentile", 99, { min: 50, max: 99.9, step: 0.1, isSlider: true }),
    choice("against", "of the scores of", ["controls", "cells"], { labels: { controls: "matched control genes", cells: "all chosen cells" } }),
    count("min_cells", "Cells of a sample, at least", 50),
    count("min_samples", "Samples of a group, at least", 3),
  ],
  async ask(context) {
    const { app, settings } = context;
    const { by, ...parameters } = settings;
    const question = asked(app, "hits", { columns: { label_column: by }, parameters: { ...parameters, unnamed: unnamed(app, by) }, isPopulation: true });
    await showChart(context, `Hits of ${app.signature.name} by ${by.replaceAll("_", " ")}`, question, "hit_rates", (rows) => hitNotes(rows, settings, app.catalog));
  },
});

// The notes of `sigdb.hits`.
export function hitNotes(rows, settings, catalog) {
  const { words } = catalog;
  const counted = rows.filter((row) => row.n_hits !== null);
  const [n_hits, n_cells] = ["n_hits", "n_cells"].map((name) => counted.reduce((sum, row) => sum + row[name], 0));
  const rule = `A hit is above the ${ordinal(settings.percentile)} percentile of ${words.compared_with[settings.against]}.`;
  const share = n_cells ? ` ${percent(n_hits / n_cells)} of ${whole(n_cells)} cells are hits.` : "";
  const reasons = Object.entries(counts(rows.map((row) => row.left_out))).map(([reason, n]) => [inWords(words.left_out[reason], settings), n]);
  const renamed = rows.some((row) => row.left_out === "no name") ? [words.rename] : [];
  const consequence = settings.against === "controls" ? words.calibrated : words.uncalibrated;
  return [...noGroup(rows, settings, catalog), rule + share, ...leftOutNote("sample", Object.fromEntries(reasons)), ...renamed, ...warnings(groupsOf(rows), ["label"], consequence, catalog)];
}

// A note on a ranking without groups: the setting that would keep one. `explain_no_group` of sigdb.findings.hits.
function noGroup(rows, { by, min_samples }, { names_none }) {
  if (rows.some((row) => row.left_out === null)) return [];
  const what = by.replaceAll("_", " ");
  const lost = rows.filter((row) => row.label !== null);
  if (!lost.length) return [`No group is left: no sample has a value of ${what}.`];
  const [few] = Object.entries(counts(lost.filter((row) => row.left_out === "too few samples").map((row) => String(row.label)))).sort(([, one], [, other]) => other - one);
  if (few) return [`No group is left. The largest, ${few[0]}, has ${few[1]} sample${few[1] === 1 ? "" : "s"}: set the samples of a group to ${few[1]} to keep it.`];
  const small = lost.filter((row) => row.left_out === "too few cells" && !namesNone(by, row.label, names_none));
  if (!small.length) return ["No group is left."];
  const sizes = [...groupBy(small, (row) => String(row.label))].map(([label, each]) => [label, each.map((row) => row.n_cells).sort((one, other) => other - one)[min_samples - 1] ?? 0]);
  const [label, n] = sizes.reduce((one, other) => (other[1] > one[1] ? other : one));
  if (n) return [`No group is left. Set the cells of a sample to ${n} to keep at least ${min_samples} samples of ${label}.`];
  return [`No group is left. No number of cells leaves ${min_samples} samples of one ${what}.`];
}

// The groups of the ranking, as `sigdb.hits` summarises their samples.
export function groupsOf(samples) {
  const groups = groupBy(samples.filter((row) => row.left_out === null), (row) => String(row.label));
  return [...groups].map(([label, rows]) => ({
    label,
    n_samples: rows.length,
    mean_rate: over(mean, rows, "hit_rate"),
    median_rate: over(median, rows, "hit_rate"),
    mean_z: over(mean, rows, "mean_z"),
    n_genes: rows[0].n_genes,
    least_measured: over((values) => Math.min(...values), rows, "n_measured"),
    median_counts: over(median, rows, "median_counts"),
    median_detected: over(median, rows, "median_detected"),
  }));
}

function over(summary, rows, column) {
  const values = rows.map((row) => row[column]).filter((value) => value !== null);
  return values.length ? summary(values) : null;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
