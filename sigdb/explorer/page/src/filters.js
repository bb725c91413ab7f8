// The filters that hold for all tabs: the values of five columns of `cells`, with the numbers of their cells.
import { h } from "./dom.js";
import { NO_LASSO } from "./lasso.js";
import { FILTERS, NO_FILTERS, keeps } from "./state.js";

const TITLES = { study: "Study", cell_type: "Cell type", disease: "Disease", tissue: "Tissue", donor: "Donor" };
// With more values than this, a filter gets a search box.
const FEW = 8;

export function filterBox(app) {
  const counted = h("span", { class: "hint", role: "status" });
  const run = h("div", { hidden: true });
  const clear = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => app.setState(NO_FILTERS) }, "Clear all");
  const box = h("div", { class: "filters" });
  const lasso = h("div", { class: "chips" });
  let groups = null;
  let open = null;

  function fillBox() {
    if (!groups) return;
    if (run.querySelector("select")) run.querySelector("select").value = app.state.run ?? "";
    box.replaceChildren(...FILTERS.map((name) => oneFilter(name)).filter(Boolean));
    const chosen = groups.filter((group) => keeps(app.state, group));
    const [some, all] = [sum(chosen), sum(groups)];
    counted.textContent = some === all ? `All ${all.toLocaleString("en")} cells.` : `${some.toLocaleString("en")} of ${all.toLocaleString("en")} cells.`;
    clear.hidden = !FILTERS.some((name) => app.state[name]?.length);
  }

  // The lasso is a filter of the tabs that read single cells.
  function fillLasso() {
    const { study, n_cells } = app.lasso ?? {};
    const name = `Lasso: ${n_cells?.toLocaleString("en")} cells of ${study}`;
    lasso.replaceChildren(...(app.lasso ? [h("span", { class: "chip" },
      h("button", { type: "button", title: `${name}. Show it in the tab Cells`, onclick: () => app.setState({ tab: "cells" }) }, name),
      h("button", { type: "button", class: "remove", "aria-label": "Remove the lasso", onclick: () => app.setState(NO_LASSO) }, "\u00d7"))] : []));
  }

  // A filter shows the values that the other filters leave.
  function oneFilter(name) {
    const chosen = app.state[name] ?? [];
    const counts = new Map(chosen.map((value) => [value, 0]));
    for (const group of groups) if (keeps(app.state, group, name)) counts.set(group[name], (counts.get(group[name]) ?? 0) + group.n_cells);
    if (counts.size < 2 && !chosen.length) return null;
    const options = [...counts].map(([value, n]) => option(name, value, n, chosen));
    const search = options.length > FEW && h("input", {
      type: "search", placeholder: "Find …", "aria-label": `Find ${TITLES[name]}`,
      oninput: (event) => options.forEach((each) => { each.hidden = !each.textContent.toLowerCase().includes(event.target.value.toLowerCase()); }),
    });
    const summary = h("summary", {}, TITLES[name], h("span", { class: "count" }, chosen.length ? String(chosen.length) : `${counts.size}`));
    return h("details", {
      class: chosen.length ? "filter chosen" : "filter", open: open === name,
      ontoggle: (event) => { if (event.target.open) open = name; else if (open === name) open = null; },
      onkeydown: (event) => { if (event.key === "Escape") { event.currentTarget.open = false; summary.focus(); } },
    }, summary, h("fieldset", {}, h("legend", { class: "unseen" }, TITLES[name]), search, h("div", { class: "options" }, options)));
  }

  function option(name, value, n, chosen) {
    const input = h("input", { type: "checkbox", checked: chosen.includes(value), "data-filter": name, onchange: () => {
      app.setState({ [name]: input.checked ? [...chosen, value] : chosen.filter((each) => each !== value) });
      // The box is made again: the focus stays where it was.
      [...box.querySelectorAll("input[type=checkbox]")].find((each) => each.dataset.filter === name && each.value === input.value)?.focus();
    } });
    input.value = value ?? "\0";
    return h("label", {}, input, h("span", { class: value === null ? "none" : null }, value ?? "(none)"), h("span", { class: "count" }, n.toLocaleString("en")));
  }

  async function load() {
    await app.isShown;
    try {
      run.replaceChildren(...(await runChoice(app)));
      run.hidden = !run.firstChild;
      groups = await app.groups();
      fillBox();
    } catch (error) {
      counted.textContent = `The filters could not be read: ${error.message}`;
    }
  }

  app.on("state", fillBox);
  app.on("lasso", fillLasso);
  load();
  // On a phone, the filters are closed at first: the answer is below them.
  const isWide = window.matchMedia("(min-width: 900px)");
  const details = h("details", { class: "box", open: isWide.matches }, h("summary", { tabindex: isWide.matches ? "-1" : null }, "Filters", counted), lasso, run, box, clear);
  isWide.addEventListener("change", () => { details.open = isWide.matches; });
  return h("section", { "aria-label": "Filters" }, details);
}

// A choice of the attribution run that all tabs read, if there are several.
async function runChoice(app) {
  const { rows } = await app.askStatement("explorer/frame.run_names", {}, {}, { signal: new AbortController().signal });
  if (rows.length < 2) return [];
  const select = h("select", { onchange: () => app.setState({ run: select.value }) },
    rows.map(({ run, is_default }) => h("option", { value: is_default ? "" : run, selected: run === app.state.run }, is_default ? `${run} (default)` : run)));
  return [h("label", { class: "run" }, "Run", select)];
}

function sum(groups) {
  return groups.reduce((total, group) => total + group.n_cells, 0);
}
