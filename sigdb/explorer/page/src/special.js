// What is special about the cells in a lasso: the genes and the signatures of the library that are raised in them.
import { h } from "./dom.js";
import { literal } from "./literals.js";

const MIN_CELLS = 10;
const N_GENES = 100;
// About the bytes of an attribution in the file, and the bytes that the browser reads without asking first.
const BYTES = 13;
const FEW = 50e6;

const GENES = {
  transform: [
    { window: [{ op: "row_number", as: "place" }] },
    { filter: "datum.place <= 25" },
    { calculate: "datum.score", as: "in the lasso" },
    { calculate: "datum.score_others", as: "other cells" },
    { fold: ["in the lasso", "other cells"], as: ["cells", "mean"] },
  ],
  width: 380,
  height: { step: 15 },
  encoding: { y: { field: "gene", type: "nominal", title: null, sort: { field: "place" } }, x: { field: "mean", type: "quantitative", title: "mean attribution, thousandths of a cell" } },
  layer: [
    { mark: { type: "line", color: "#8a8a8a" }, encoding: { detail: { field: "gene" } } },
    {
      mark: { type: "point", filled: true, size: 55, opacity: 1 },
      encoding: {
        color: { field: "cells", type: "nominal", title: null, scale: { domain: ["in the lasso", "other cells"], range: ["#D55E00", "#0072B2"] }, legend: { orient: "bottom" } },
        shape: { field: "cells", type: "nominal", legend: null },
        tooltip: [{ field: "gene" }, { field: "score", format: ".3g" }, { field: "score_others", format: ".3g" }, { field: "fraction_nonzero", format: ".1%" }, { field: "fraction_nonzero_others", format: ".1%" }],
      },
    },
  ],
};

const SIGNATURES = {
  transform: [{ window: [{ op: "row_number", as: "place" }] }, { filter: "datum.place <= 20 && isValid(datum.z)" }],
  width: 380,
  height: { step: 15 },
  mark: { type: "bar", color: "#0072B2" },
  encoding: {
    y: { field: "signature", type: "nominal", title: null, sort: { field: "place" }, axis: { labelLimit: 260 } },
    x: { field: "z", type: "quantitative", title: "z: raised beside control genes of the same level" },
    tooltip: [{ field: "signature" }, { field: "z", format: ".2f" }, { field: "above_controls", format: ".3f" }, { field: "difference", format: ".3g" }, { field: "n_measured" }, { field: "n_asked" }],
  },
};

// tab: the tab of cells. n, all: the cells in the lasso, and in the embedding. isAsked: the link asks for the answer.
export async function showSpecial(place, tab, { n, all, isAsked }) {
  const { app } = tab;
  const answer = h("div", {});
  const few = n < MIN_CELLS ? `The lasso has ${n} cells` : all - n < MIN_CELLS ? `Outside the lasso, there are ${all - n} cells` : null;
  const ask = h("button", { type: "button", class: "main", disabled: Boolean(few), onclick: () => { app.setState({ special: "1" }, { quiet: true }); compare(answer, tab); } }, "What is special about these cells?");
  const slow = few ? null : await slowRead(app);
  place.append(h("section", { class: "card", "aria-label": "Cells in the lasso" },
    h("h2", {}, `${n.toLocaleString("en")} cells in the lasso`),
    h("div", { class: "buttons" }, ask, h("button", { type: "button", onclick: () => app.setState({ tab: "sql", sql: cellsOf(tab) }) }, "These cells in the SQL tab")),
    few && h("p", { class: "hint" }, `${few}. A comparison needs ${MIN_CELLS} on both sides.`),
    slow), answer);
  if (isAsked && !few && !slow) await compare(answer, tab);
}

// A sentence for a question about the attributions of all genes that takes long in the browser; null if it does not. A server
// reads them itself.
export async function slowRead(app) {
  if (app.engine.kind === "server") return null;
  const { rows } = await app.askStatement("explorer/cells.attributions");
  const bytes = BYTES * rows[0].n_attributions;
  if (bytes <= FEW) return null;
  return h("p", { class: "hint" }, `In the browser, this reads the attributions of all genes: about ${Math.ceil(bytes / 1e6)} MB. \`sigdb explore\` and a server are faster.`);
}

async function compare(place, tab) {
  const progress = h("progress", { max: "2", value: 0 });
  const said = h("p", { class: "waiting", role: "status" });
  const step = (done, sentence) => { progress.value = done; said.replaceChildren(progress, sentence); };
  place.replaceChildren(said);
  step(0, "1 of 2: genes …");
  const genes = await tab.show(place, {
    title: "Genes that are raised in the lasso", statement: "explorer/cells.genes", parameters: { min_cells: MIN_CELLS, n: N_GENES }, spec: GENES, isTableOpen: false,
    notes: [`The ${N_GENES} genes with the largest difference of the mean attribution, beside the other cells of ${tab.study.study} that the filters keep. Genes with high attributions differ most.`],
  });
  if (!genes) return said.replaceChildren("Cancelled.");
  step(1, "2 of 2: signatures …");
  const signatures = await tab.show(place, {
    title: "Signatures that are raised in the lasso", statement: "explorer/cells.signatures", parameters: { min_cells: MIN_CELLS }, spec: SIGNATURES, isTableOpen: false,
    notes: tab.app.catalog.statements["explorer/cells.signatures"].notes,
  });
  if (!signatures) return said.replaceChildren("Cancelled.");
  return said.remove();
}

// A statement on the cells in the lasso, for the SQL tab.
function cellsOf({ app, study, place, condition }) {
  const { sqlGenes, sqlWeights, missing } = app.signature;
  const kept = place.is_chosen === "TRUE" ? "" : `\n  AND ${place.is_chosen}`;
  return `SELECT c.cell_id, c.barcode, c.sample, c.cell_type, s.score
FROM signature_score(${sqlGenes}, weights := ${sqlWeights}, missing := '${missing.length ? "ignore" : "error"}') AS s
JOIN cells AS c ON s.cell_id = c.cell_id
WHERE c.study = ${literal(study.study)}${kept}
  AND ${condition}
ORDER BY s.score DESC`;
}
