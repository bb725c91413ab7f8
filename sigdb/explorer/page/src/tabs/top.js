// The genes of highest mean attribution in the cells of the filters.
import { h } from "../dom.js";
import { count, findingTab, showChart } from "../finding.js";
import { FILTERS } from "../state.js";

const GROUP = ["study", "cell_type", "disease", "tissue"];

export default findingTab({
  id: "top",
  title: "Top genes",
  needsSignature: false,
  controls: [count("n", "Genes", 40, { max: 1000 })],
  async ask(context) {
    const { app, root, settings } = context;
    const problems = FILTERS.flatMap((name) => problemOf(name, app.state[name] ?? []));
    if (problems.length) {
      root.append(h("p", { class: "hint", role: "status" }, "The top genes are those of one group of cells, which the filters make. ", problems.join(" ")));
      return;
    }
    const group = Object.fromEntries(GROUP.map((name) => [name, app.state[name]?.[0] ?? null]));
    const name = Object.values(group).filter((value) => value !== null).join(", ") || "all cells";
    const { words } = app.catalog;
    const partly = (rows) => (rows.some((row) => row.n_measured < row.n_cells) ? [words.partly_measured] : []);
    await showChart(context, `Top genes of ${name}`, { statement: "findings/top_genes", parameters: { ...group, n: settings.n } }, "top_genes", partly);
  },
});

// Why the values of a filter do not make one group.
function problemOf(name, values) {
  const words = name.replaceAll("_", " ");
  if (!GROUP.includes(name)) return values.length ? [`Clear the filter of ${words}s: a group has the cells of all its ${words}s.`] : [];
  if (values.length > 1) return [`Choose one ${words}, not ${values.length}.`];
  return values.includes(null) ? [`Choose a ${words} with a name.`] : [];
}
