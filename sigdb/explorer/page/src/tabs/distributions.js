// The distribution of the cells' scores in each group.
import { OF_CELLS, asked, choice, count, findingTab, showChart } from "../finding.js";

export default findingTab({
  id: "distributions",
  title: "Distributions",
  controls: [
    choice("by", "By", OF_CELLS, { initial: "cell_type" }),
    count("min_cells", "Cells of a group, at least", 10),
    count("n_bins", "Bins", 60, { min: 5, max: 200 }),
  ],
  async ask(context) {
    const { app, settings } = context;
    const { by, ...parameters } = settings;
    const question = asked(app, "distributions", { columns: { label_column: by }, parameters });
    await showChart(context, `Distribution of the scores of ${app.signature.name} by ${by.replaceAll("_", " ")}`, question, "distributions", () => [app.catalog.words.raw]);
  },
});
