// The box in which a signature is typed, pasted or picked, and what its names mean in this atlas.
import { h, newId } from "./dom.js";
import { table } from "./table.js";

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

  // A single word that names a signature of the library means that one, as for the command line.
  function meant(text) {
    const name = known.get(text.trim().toLowerCase());
    return name ? `@${name}` : text.trim();
  }

  function apply() {
    const all = [...texts()];
    if (area.value.trim()) all[place()] = meant(area.value);
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
    const name = known.get(library.value.trim().toLowerCase());
    if (!name) return;
    library.value = "";
    add(`@${name}`);
  });
  app.on("signature", fillBox);
  app.on("state", fillBox);
  loadLibrary(app).then((rows) => {
    known = new Map(rows.map((row) => [row.signature.toLowerCase(), row.signature]));
    names.replaceChildren(...rows.map((row) => h("option", { value: row.signature }, `${row.n_genes} genes`)));
    library.hidden = rows.length === 0;
  }, () => { library.hidden = true; });
  fillBox();

  return h("section", { "aria-labelledby": `${id}-title` },
    h("header", {}, h("h2", { id: `${id}-title` }, h("label", { for: id }, "Signature"))),
    chips, area,
    h("div", { class: "buttons" },
      h("button", { type: "button", class: "main", onclick: apply, title: "Enter" }, "Score"),
      h("button", { type: "button", onclick: () => { area.focus(); if (area.value.trim()) { const text = meant(area.value); area.value = ""; add(text); } }, title: "Keep this signature, and add the text as another one" }, "Add as another")),
    library, names, report);
}

async function loadLibrary(app) {
  await app.isShown;
  return (await app.askStatement("explorer/frame.library", {}, {}, { signal: new AbortController().signal })).rows;
}

// Which names resolved to what, which are missing, and how many genes each study measured.
function reportOf(app, signature) {
  if (signature.problem) return [h("p", { class: "problem", role: "alert" }, signature.problem)];
  const { report, genes } = signature;
  const other = report.filter((row) => row.symbol !== null && row.status !== "ok");
  const lost = report.filter((row) => row.symbol === null);
  const counts = `${signature.known} of ${genes.length} gene${genes.length === 1 ? "" : "s"} known`;
  const columns = ["gene", "symbol", "status", "suggestion"].map((name) => ({ name, isNumber: false }));
  if (signature.weights) columns.splice(1, 0, { name: "weight", isNumber: true });
  const rows = report.map((row, place) => ({ ...row, weight: signature.weights?.[place] }));
  return [
    h("details", {}, h("summary", {}, counts + (other.length ? `, ${other.length} by another name` : "")), table({ columns, rows }, "Genes of the signature")),
    lost.length > 0 && h("div", { class: "warning" }, h("p", {}, `Not in this atlas, and left out (${lost.length}):`),
      h("ul", {}, lost.slice(0, 20).map((row) => lostGene(app, signature, row)), lost.length > 20 && h("li", {}, `and ${lost.length - 20} more, in the table above`))),
    coverage(app),
  ].filter(Boolean);
}

function lostGene(app, signature, { gene, status, suggestion }) {
  const isGene = suggestion && !suggestion.startsWith("run :=") && !suggestion.includes(" or ");
  const replace = () => {
    const genes = signature.genes.map((each) => (each === gene ? suggestion : each));
    const s = [...app.state.s];
    s[app.signatures.indexOf(signature)] = genes.map((each, place) => each + (signature.weights && signature.weights[place] !== 1 ? `:${signature.weights[place]}` : "")).join(" ");
    app.setState({ s });
  };
  return h("li", {}, gene, status === "ambiguous" && ` is a name of several genes: ${suggestion}`,
    status !== "ambiguous" && suggestion && !isGene && ` (known to ${suggestion})`,
    isGene && [" – did you mean ", h("button", { type: "button", class: "link", onclick: replace }, suggestion), "?"]);
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
