// The genes of highest mean attribution in the cells of the filters, or of the lasso.
import { h } from "../dom.js";
import { count, findingTab, showChart } from "../finding.js";
import { slowRead } from "../special.js";
import { FILTERS } from "../state.js";

const GROUP = ["study", "cell_type", "disease", "tissue"];

export default findingTab({
  id: "top",
  title: "Top genes",
  needsSignature: false,
  controls: [count("n", "Genes", 40, { max: 1000 })],
  ask(context) {
    return context.app.lasso ? topOfLasso(context) : topOfGroup(context);
  },
});

// The sums of the atlas have the genes of whole groups of cells.
async function topOfGroup(context) {
  const { app, root, settings } = context;
  const problems = FILTERS.flatMap((name) => problemOf(name, app.state[name] ?? []));
  if (problems.length) {
    root.append(h("p", { class: "hint", role: "status" }, "The top genes are those of one group of cells, which the filters make. ", problems.join(" ")));
    return;
  }
  const group = Object.fromEntries(GROUP.map((name) => [name, app.state[name]?.[0] ?? null]));
  const name = Object.values(group).filter((value) => value !== null).join(", ") || "all cells";
  await showTop(context, name, { statement: "findings/top_genes", parameters: { ...group, n: settings.n } });
}

// The genes of the cells in a lasso come from their attributions, so any filter can be used.
async function topOfLasso(context) {
  const { app, root, settings } = context;
  const ask = () => showTop(context, "the lasso", { statement: "explorer/cells.top_genes", words: { is_chosen: app.cellCondition("c.") }, parameters: { n: settings.n } });
  const slow = await slowRead(app);
  if (!slow) return ask();
  const button = h("button", { type: "button", class: "main", onclick: () => { button.disabled = true; ask(); } }, "Find the top genes");
  root.append(h("div", { class: "card" }, slow, button));
}

function showTop(context, name, question) {
  const { words } = context.app.catalog;
  const partly = (rows) => (rows.some((row) => row.n_measured < row.n_cells) ? [words.partly_measured] : []);
  return showChart(context, `Top genes of ${name}`, question, "top_genes", partly);
}

// Why the values of a filter do not make one group.
function problemOf(name, values) {
  const words = name.replaceAll("_", " ");
  if (!GROUP.includes(name)) return values.length ? [`Clear the filter of ${words}s: a group has the cells of all its ${words}s.`] : [];
  if (values.length > 1) return [`Choose one ${words}, not ${values.length}.`];
  return values.includes(null) ? [`Choose a ${words} with a name.`] : [];
}
