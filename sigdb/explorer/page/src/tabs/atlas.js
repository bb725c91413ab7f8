// What the atlas holds: cells by study and cell type, and the studies.

import { GROUPS_ONLY } from "../finding.js";

// As in sigdb.findings.plots: long names lose their middle.
const BARS = {
  width: 420,
  height: { step: 15 },
  mark: { type: "bar", color: "#0072B2" },
  encoding: {
    y: { field: "cell_type", type: "nominal", title: null, sort: "-x", axis: { labelLimit: 220 } },
    x: { field: "n_cells", type: "quantitative", title: "cells", stack: "zero" },
    color: { field: "study", type: "nominal", title: "study", scale: { range: ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"] }, legend: { orient: "bottom", columns: 3 } },
    tooltip: [{ field: "study" }, { field: "cell_type" }, { field: "n_cells", format: ",d" }],
  },
};

export default {
  id: "atlas",
  title: "Atlas",
  withoutLasso: GROUPS_ONLY,
  async render(root, app) {
    await app.show(root, {
      title: "Cells by cell type and study",
      statement: "explorer/frame.types",
      words: { is_chosen: app.condition("c.") ?? "TRUE" },
      spec: BARS,
      isTableOpen: false,
    });
    await app.show(root, { title: "Studies", statement: "cli/atlas.studies" });
  },
};
