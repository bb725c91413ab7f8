// One gene everywhere, or each gene of the signature: its mean attribution by group.
import { h } from "../dom.js";
import { GROUPS_ONLY, OF_CELLS, asked, choice, count, findingTab, showChart, words } from "../finding.js";
import { written } from "../literals.js";

export default findingTab({
  id: "gene",
  title: "Genes",
  needsSignature: false,
  withoutLasso: GROUPS_ONLY,
  controls: [
    words("gene", "Gene", "each gene of the signature"),
    choice("by", "By", OF_CELLS, { initial: "cell_type" }),
    count("min_cells", "Cells of a group, at least", 10),
  ],
  async ask(context) {
    const { app, root, settings } = context;
    const { gene, by, min_cells } = settings;
    if (!gene && !app.signature?.known) {
      root.append(h("p", { class: "hint" }, "Type the name of a gene, or a signature."));
      return;
    }
    const parameters = gene ? { min_cells, genes: gene.split(/[\s,]+/), missing: "error" } : { min_cells, genes: written(app.signature.sqlGenes) };
    const question = asked(app, "gene_dots", { columns: { label_column: by }, parameters, condition: app.condition() });
    await showChart(context, `${gene || `Genes of ${app.signature.name}`} by ${by.replaceAll("_", " ")}`, question, "dots", () => [app.catalog.words.raw]);
  },
});
