// The mean score of the signature by a column of `cells`.
import { h } from "../dom.js";
import { identifier } from "../literals.js";

const COLUMNS = { study: "study", disease: "disease", tissue: "tissue", sample: "sample" };

export default {
  id: "scores",
  title: "Scores",
  needsSignature: true,
  async render(root, app) {
    const by = app.state.by ?? "study";
    const select = h("select", { "aria-label": "Scores by", onchange: () => app.setState({ by: select.value }) },
      Object.entries(COLUMNS).map(([value, text]) => h("option", { value, selected: value === by }, text)));
    root.append(h("div", { class: "controls" }, h("label", {}, "By ", select)));
    await app.show(root, {
      title: `Scores of ${app.signature.name} by cell type and ${by}`,
      statement: "findings/group_scores",
      parameters: { min_cells: 1 },
      words: { label_column: identifier(by) },
    });
  },
};
