// The score of each group beside the scores of random sets of matched genes.
import { GROUPS_ONLY, asked, count, findingTab, groupCondition, showChart } from "../finding.js";
import { warnings } from "../notes.js";

export default findingTab({
  id: "null",
  title: "Matched null",
  withoutLasso: GROUPS_ONLY,
  controls: [
    count("n_controls", "Control sets", 1000, { min: 10, max: 100_000 }),
    count("seed", "Seed", 0, { min: 0 }),
    count("strata", "Bins of mean attribution", 25, { max: 200 }),
    count("min_cells", "Cells of a group, at least", 10),
  ],
  async ask(context) {
    const { app, settings } = context;
    const { condition, notes } = groupCondition(app);
    const { strata: n_bins, ...rest } = settings;
    const columns = ["cell_type", "study", "tissue", "disease"];
    const { words } = app.catalog;
    await showChart(context, `${app.signature.name} against matched genes`, asked(app, "null", { condition, parameters: { ...rest, n_bins } }), "null_scores",
      (rows) => [words.null, ...notes, ...fewSets(rows, settings.n_controls), ...warnings(rows, columns, words.within, app.catalog)]);
  },
});

// Which studies have fewer distinct control sets than were asked for, as `sigdb.matched_null` says it.
function fewSets(rows, n_controls) {
  const few = new Map(rows.filter((row) => row.n_sets !== null && row.n_sets <= n_controls).map((row) => [row.study, row.n_sets]));
  const studies = [...few].sort().map(([study, n]) => `${study} (${n})`).join(", ");
  return few.size ? [`No p value is below 1 / the number of distinct control sets, which is small: ${studies}. With fewer bins there are more sets.`] : [];
}
