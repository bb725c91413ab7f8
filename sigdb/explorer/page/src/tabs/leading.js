// Which genes make the score of each group.
import { GROUPS_ONLY, asked, count, findingTab, groupCondition, showChart } from "../finding.js";
import { warnings } from "../notes.js";

export default findingTab({
  id: "leading",
  title: "Leading genes",
  withoutLasso: GROUPS_ONLY,
  controls: [count("n", "Genes of a group", 10, { max: 100 }), count("min_cells", "Cells of a group, at least", 10)],
  async ask(context) {
    const { app, signal, settings } = context;
    const { condition, notes } = groupCondition(app);
    const unmeasured = await app.askStatement("findings/not_measured", {}, {}, { signal });
    // The chart knows a study and a gene by one key.
    const not_measured = unmeasured.rows.map((row) => ({ ...row, pair: `${row.study}\n${row.gene}` }));
    const columns = ["cell_type", "study", "tissue", "disease"];
    await showChart(context, `Leading genes of ${app.signature.name}`, asked(app, "leading_genes", { condition, parameters: settings }), "contributions",
      (rows) => [...notes, ...warnings(rows, columns, app.catalog.words.raw, app.catalog)], { not_measured });
  },
});
