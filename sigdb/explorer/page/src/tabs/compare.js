// Two or more groups of donors: tests within each study, with the donor (or sample) as the unit.
import { draw } from "../chart.js";
import { comparableUnits, compareUnits, forestLimits, forestRows } from "../compare.js";
import { adviseMinCells } from "../compare-advice.js";
import { compareCommand } from "../compare-command.js";
import { copy, h, save } from "../dom.js";
import { firstQuestion } from "../compare-start.js";
import { comparisonNotes, nothingCompared } from "../compare-notes.js";
import { asked, choice, count, findingTab } from "../finding.js";
import { table, toCSV } from "../table.js";

const BY = ["disease", "tissue", "cell_type", "study"];

export default findingTab({
  id: "compare",
  title: "Compare",
  async controls(app) {
    const groups = await app.groups();
    const least = [count("min_cells", "Cells of a unit, at least", 10), count("min_units", "Units of a group, at least", 3, { min: 2 })];
    const start = (columns) => firstQuestion(groups, columns, { minCells: least[0].initial, minUnits: least[1].initial }, app.catalog.names_none);
    const by = choice("by", "Compare", BY, { initial: start(BY).by, isStructural: true, resets: ["reference", "within", "pairs"] });
    const { values, reference, within, pairs } = start([by.read(app)]);
    return [
      by,
      choice("reference", "with", values, { initial: reference }),
      choice("of", "by", ["z", "hits"], { labels: { z: "mean z", hits: "hit rate" } }),
      choice("within", "within", ["cell_type", "none"].filter((column) => column !== by.read(app)), { initial: within, labels: { none: "all cells" } }),
      choice("unit", "Unit", ["donor", "sample"]),
      choice("pairs", "Pairs", ["none", "donor"], { initial: pairs, labels: { none: "no pairs", donor: "of one donor" } }),
      ...least,
    ];
  },
  async ask({ app, root, signal, settings }) {
    const design = designOf(settings);
    const columns = { group_column: design.by, unit_column: design.unit, within_column: design.within ?? "study", pair_column: design.pairedBy ?? design.unit };
    const question = asked(app, "compare", { columns, parameters: { percentile: 99, against: "controls" }, isPopulation: true });
    const tests = h("section", { class: "card" });
    root.append(tests);
    const none = app.catalog.names_none;
    await app.show(root, {
      title: `Units of ${app.signature.name}`,
      ...question,
      signal,
      notes: ({ rows }) => {
        const { units, small, lost } = comparableUnits(rows, design, none);
        const found = compareUnits(units, design);
        showTests(tests, app, found, units, design);
        tests.append(...advice(app, found, adviseMinCells(units, small, design), design), command(app, design));
        return comparisonNotes(found, units, lost, design, app.catalog);
      },
    });
  },
});

const ONE_STUDY = "Each row is the test of one study. Below is a command for all studies together.";
const MORE = "`sigdb compare` computes more: a model of all studies and a meta-analysis, where several studies hold both groups; rank tests; a linear model, where donors repeat; and covariates, by `--covariate`. In a terminal, with the path of the atlas:";
const NO_WEIGHTS = "`sigdb compare` also fits a model of all studies and a meta-analysis. It takes no weights of genes: add the signature to the library by `sigdb signatures add`, and ask for it by its name.";

export function designOf({ by, reference, unit, within, pairs, min_cells, min_units, of }) {
  return { by, reference, unit, within: within === "none" ? null : within, pairedBy: pairs === "none" ? null : pairs, minCells: min_cells, minUnits: min_units, of };
}

function showTests(place, app, rows, units, design) {
  const title = `${design.by.replaceAll("_", " ")}: others against ${design.reference}`;
  const chart = h("div", { class: "chart wide", tabindex: "0", role: "region", "aria-label": `Chart: ${title}` });
  const buttons = h("div", { class: "buttons" });
  const forest = forestRows(rows);
  const columns = Object.keys(rows[0] ?? {}).map((name) => ({ name, isNumber: typeof rows.find((row) => row[name] !== null)?.[name] === "number" }));
  const head = h("header", {}, h("h2", {}, title), buttons);
  if (!rows.length) return place.replaceChildren(head, h("p", { class: "hint" }, nothingCompared(units, design)));
  place.replaceChildren(head, chart,
    h("ul", { class: "notes" }, [`Right of 0: higher than in ${design.reference}. Units: in the group / in ${design.reference}.`, ONE_STUDY].map((note) => h("li", {}, note))),
    h("details", { open: rows.length <= 12 }, h("summary", {}, `Table: ${rows.length} row${rows.length === 1 ? "" : "s"}`), table({ columns, rows }, title)));
  const drawn = draw(chart, specOf(app.catalog.specs[`effects_${design.of}`], forest), [], title);
  buttons.append(
    download("CSV", () => save(`${title}.csv`, toCSV({ columns, rows }), "text/csv")),
    download("PNG", async () => save(`${title}.png`, await (await drawn).png(), "image/png")),
    download("SVG", async () => save(`${title}.svg`, await (await drawn).svg(), "image/svg+xml")));
}

// If no study was tested, and the size of a unit is why: a size that leaves enough of them.
function advice(app, rows, found, { minCells }) {
  if (!found || found.n >= minCells || !rows.every((row) => row.test === "none")) return [];
  const use = found.n > 0 && h("button", { type: "button", onclick: () => app.setState({ min_cells: found.n }) }, `Use ${found.n}`);
  return [h("p", { class: "hint", role: "status" }, `Nothing was tested. ${found.text} `, use)];
}

function command(app, design) {
  const text = compareCommand(`${app.name}.duckdb`, app.signature, design, { cells: app.cellCondition(), run: app.state.run });
  const copied = h("span", { role: "status", class: "hint" });
  const summary = h("summary", {}, "All studies together, rank tests and covariates");
  if (!text) return h("details", { class: "editor" }, summary, h("p", { class: "hint" }, NO_WEIGHTS));
  return h("details", { class: "editor" }, summary, h("p", { class: "hint" }, MORE), h("pre", { class: "sql" }, text), h("div", { class: "buttons" },
    h("button", { type: "button", onclick: async () => { await copy(text); copied.textContent = "Copied."; } }, "Copy the command"), copied));
}

function download(name, act) {
  return h("button", { type: "button", "aria-label": `Download the tests as ${name}`, title: `Download as ${name}`, onclick: act }, name);
}

function specOf(spec, forest) {
  const filled = structuredClone({ ...spec, datasets: { tests: forest } });
  const limits = forestLimits(forest);
  for (const { encoding } of filled.layer) if (encoding?.x?.scale?.domain) encoding.x.scale.domain = limits;
  return filled;
}
