// The hit rate of each sample, by group, with the cut-off as a slider.
import { OF_SAMPLES, asked, choice, count, findingTab, showChart, unnamed } from "../finding.js";
import { counts, groupBy, inWords, leftOutNote, ordinal, percent, warnings, whole } from "../notes.js";

export default findingTab({
  id: "hits",
  title: "Hits",
  controls: [
    choice("by", "By", OF_SAMPLES, { initial: "disease" }),
    count("percentile", "Cut-off, percentile", 99, { min: 50, max: 99.9, step: 0.1, isSlider: true }),
    choice("against", "of the scores of", ["controls", "cells"], { labels: { controls: "matched control genes", cells: "all chosen cells" } }),
    count("min_cells", "Cells of a sample, at least", 10),
    count("min_samples", "Samples of a group, at least", 1),
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
  return [rule + share, ...leftOutNote("sample", Object.fromEntries(reasons)), ...renamed, ...warnings(groupsOf(rows), ["label"], consequence, catalog)];
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

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  return Number.isInteger(middle) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)];
}
