// The mean z and score of groups: dots with intervals by study, and a heat map by cell type.
import { OF_CELLS, asked, choice, count, findingTab, showChart } from "../finding.js";
import { warnings } from "../notes.js";

const CONTROLS = [choice("by", "By", OF_CELLS), count("min_cells", "Cells of a group, at least", 10)];

export default findingTab({
  id: "scores",
  title: "Scores",
  controls: CONTROLS,
  async ask(context) {
    const { app, settings } = context;
    const { names_none: none, words } = app.catalog;
    const parameters = { percentile: 99, against: "controls", min_cells: settings.min_cells, unnamed_donors: none.donor, unnamed_samples: none.sample };
    const ask = (statement, label) => asked(app, statement, { columns: { label_column: label }, parameters });
    const notes = (columns) => (rows) => warnings(rows, columns, words.calibrated, app.catalog);
    const ofEachStudy = settings.by === "study" ? "study" : `${named(settings.by)} and study`;
    await showChart(context, `Mean z of ${app.signature.name} by ${ofEachStudy}`, ask("scores", settings.by), "intervals", notes(["study", "label"]));
    const other = settings.by === "cell_type" ? "study" : settings.by;
    await showChart(context, `Heat map of ${app.signature.name} by cell type and ${named(other)}`, ask("heat_map", other), "heat_map", notes(["cell_type", "label"]));
  },
});

function named(column) {
  return column.replaceAll("_", " ");
}
