// The box in which a signature is typed, pasted or picked, and what its names mean in this atlas.
import { h, newId } from "./dom.js";
import { table } from "./table.js";

// A longer list of left out genes is folded.
const FEW = 5;
const EXAMPLE = "Genes: CD3E CD8A:2 -FOXP3\nOr paste a list, a column, or genes with weights.";

export function signatureBox(app) {
  const id = newId("genes");
  const area = h("textarea", { id, rows: "4", spellcheck: "false", autocapitalize: "off", autocomplete: "off", placeholder: EXAMPLE });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Signatures" });
  const report = h("div", { class: "report", "aria-live": "polite" });
  const names = h("datalist", { id: newId("library") });
  const library = h("input", { type: "search", list: names.id, placeholder: "Signature of the library …", "aria-label": "Signature of the library" });
  let known = new Map();

  const texts = () => app.state.s ?? [];
  const place = () => Math.min(Number(app.state.at ?? 0), Math.max(texts().length - 1, 0));

  function apply() {
    const all = [...texts()];
    if (area.value.trim()) all[place()] = area.value.trim();
    else all.splice(place(), 1);
    app.setState({ s: all, tab: tabFor() });
  }

  function add(text) {
    app.setState({ s: [...texts(), text], at: texts().length || undefined, tab: tabFor() });
  }

  // From a tab that is not about a signature, go to the scores.
  function tabFor() {
    return app.tab.needsSignature ? app.tab.id : "scores";
  }

  function remove(number) {
    app.setState({ s: texts().filter((_, each) => each !== number), at: Math.max(0, place() - (number <= place())) || undefined });
  }

  function fillBox() {
    const { signature } = app;
    const isNew = app.state.at !== undefined && Number(app.state.at) >= texts().length;
    if (document.activeElement !== area) area.value = isNew ? "" : (texts()[place()] ?? "");
    chips.hidden = texts().length < 2;
    chips.replaceChildren(...app.signatures.map((each, number) => h("span", { class: "chip" },
      h("button", { type: "button", "aria-pressed": String(each === signature), onclick: () => app.setState({ at: number || undefined }) }, each.name),
      h("button", { type: "button", class: "remove", "aria-label": `Remove ${each.name}`, onclick: () => remove(number) }, "\u00d7"))));
    report.replaceChildren(...(signature ? reportOf(app, signature) : []));
  }

  area.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); apply(); } });
  library.addEventListener("change", () => {
    const name = known.get(library.value.trim().toLowerCase())?.signature;
    if (!name) return;
    library.value = "";
    add(`@${name}`);
  });
  app.on("signature", fillBox);
  app.on("state", fillBox);
  app.isShown.then(() => app.library()).then((signatures) => {
    known = signatures;
    names.replaceChildren(...[...known.values()].map((row) => h("option", { value: row.signature }, `${row.n_genes} gene${row.n_genes === 1 ? "" : "s"}`)));
    library.hidden = known.size === 0;
  }, () => { library.hidden = true; });
  fillBox();

  return h("section", { "aria-labelledby": `${id}-title` },
    h("header", {}, h("h2", { id: `${id}-title` }, h("label", { for: id }, "Signature"))),
    chips, area,
    h("div", { class: "buttons" },
      h("button", { type: "button", class: "main", onclick: apply, title: "Enter" }, "Score"),
      h("button", { type: "button", onclick: () => { area.focus(); if (area.value.trim()) { const text = area.value.trim(); area.value = ""; add(text); } }, title: "Keep this signature, and add the text as another one" }, "Add as another")),
    library, names, report);
}

// Which names resolved to what, which are missing, and how many genes each study measured.
function reportOf(app, signature) {
  if (signature.problem) return [h("p", { class: "problem", role: "alert" }, signature.problem)];
  const { report, genes } = signature;
  const other = report.filter((row) => row.symbol !== null && row.status !== "ok");
  const ambiguous = report.filter((row) => row.status === "ambiguous");
  const lost = report.filter((row) => row.symbol === null && row.status !== "ambiguous");
  const counts = `${signature.known} of ${genes.length} gene${genes.length === 1 ? "" : "s"} known`;
  const columns = ["gene", "symbol", "status", "suggestion"].map((name) => ({ name, isNumber: false }));
  if (signature.weights) columns.splice(1, 0, { name: "weight", isNumber: true });
  const rows = report.map((row, place) => ({ ...row, weight: signature.weights?.[place] }));
  return [
    h("details", {}, h("summary", {}, counts + (other.length ? `, ${other.length} by another name` : "")), table({ columns, rows }, "Genes of the signature")),
    leftOut(`Not in this atlas, and left out (${lost.length}):`, lost.map((row) => lostGene(app, signature, row))),
    leftOut(`A name of several genes, and left out (${ambiguous.length}). Choose one:`, ambiguous.map((row) => ambiguousGene(app, signature, row))),
    coverage(app),
  ].filter(Boolean);
}

// A long list is folded.
function leftOut(heading, items) {
  if (!items.length) return null;
  const [first, more] = [items.slice(0, FEW), items.slice(FEW)];
  return h("div", { class: "warning" }, h("p", {}, heading), h("ul", {}, first),
    more.length > 0 && h("details", {}, h("summary", {}, `${more.length} more`), h("ul", {}, more)));
}

function lostGene(app, signature, { gene, suggestion }) {
  const isGene = suggestion && !suggestion.startsWith("run :=") && !suggestion.includes(" or ");
  return h("li", {}, gene, suggestion && !isGene && ` (known to ${suggestion})`,
    isGene && [" – did you mean ", replacement(app, signature, gene, suggestion), "?"]);
}

function ambiguousGene(app, signature, { gene, suggestion }) {
  const candidates = suggestion.split(/, | or /);
  return h("li", {}, `${gene}: `, candidates.map((each, place) => [place > 0 && " or ", replacement(app, signature, gene, each)]));
}

// A button that puts another gene in the place of a name.
function replacement(app, signature, name, gene) {
  const replace = () => {
    const members = signature.genes.map((each, place) => (each === name ? gene : each) + weightOf(signature, place));
    const s = [...app.state.s];
    s[app.signatures.indexOf(signature)] = members.join(" ");
    app.setState({ s });
  };
  return h("button", { type: "button", class: "link", onclick: replace }, gene);
}

function weightOf({ weights }, place) {
  return weights && weights[place] !== 1 ? `:${weights[place]}` : "";
}

function coverage(app) {
  const place = h("div", {});
  const details = h("details", { class: "coverage", ontoggle: async () => {
    if (!details.open || place.firstChild) return;
    try {
      const { rows } = await app.askStatement("findings/coverage", {}, { is_chosen: "TRUE" }, { signal: new AbortController().signal });
      place.replaceChildren(h("dl", {}, rows.map((row) => [h("dt", {}, row.study), h("dd", {},
        h("meter", { min: "0", max: String(row.n_genes), value: String(row.n_measured), low: String(row.n_genes / 2), "aria-label": `${row.study}: genes measured` }),
        ` ${row.n_measured} of ${row.n_genes}`)])));
    } catch (error) {
      place.replaceChildren(h("p", { class: "problem" }, error.message));
    }
  } }, h("summary", {}, "Genes measured by each study"), place);
  return details;
}
