// What the tabs of findings share: their controls, the statements of the catalog, and the charts with their notes.
import { h } from "./dom.js";
import { identifier } from "./literals.js";
import { chartNotes } from "./notes.js";
import { FILTERS } from "./state.js";

// The columns of `samples` and of `cells` that group cells.
export const OF_SAMPLES = ["study", "disease", "tissue", "donor", "sample", "assay", "sex", "development_stage"];
export const OF_CELLS = ["study", "cell_type", ...OF_SAMPLES.slice(1)];
// The columns that make a group of cells in leading genes and matched nulls.
const GROUP = ["study", "cell_type", "disease", "tissue"];
// Why a tab does not follow the lasso of the tab of cells.
export const GROUPS_ONLY = "this tab reads sums of whole groups of cells, which have no positions.";
// The population of all cells, and that of the filters.
const ALL_CELLS = "sigdb_data.cell_data";
const CHOSEN = "chosen_cells";

// A tab: {id, title, controls: the settings, or a function of the app that gives them, ask(context)}. The settings are part
// of the address. A change asks again, and keeps the focus where it is. A structural one makes the controls again, too.
// withoutLasso: why the lasso does not choose the cells of the tab.
export function findingTab({ id, title, needsSignature = true, withoutLasso = null, controls, ask }) {
  return {
    id,
    title,
    needsSignature,
    withoutLasso,
    followsLasso: !withoutLasso,
    async render(root, app, signal) {
      const answer = h("div", { class: "answer" });
      let asking = null;
      const list = typeof controls === "function" ? await controls(app, signal) : controls;
      const askAgain = async () => {
        asking?.abort();
        asking = new AbortController();
        const both = AbortSignal.any([signal, asking.signal]);
        const place = h("div", {});
        answer.replaceChildren(place);
        await ask({ app, root: place, signal: both, settings: readSettings(app, list) });
      };
      root.append(...refuseSettings(app, list), controlBar(app, list, askAgain), answer);
      await askAgain();
    },
  };
}

function readSettings(app, controls) {
  return Object.fromEntries(controls.map((control) => [control.name, control.read(app)]));
}

// Say which settings of the address are not possible, and take them out of it.
function refuseSettings(app, controls) {
  const refused = controls.filter(({ name, isPossible }) => app.state[name] !== undefined && !isPossible(app.state[name]));
  const sentences = refused.map((control) => `${control.name}=${app.state[control.name]} is not possible; ${control.read(app) ?? "nothing"} is shown.`);
  app.setState(Object.fromEntries(refused.map(({ name }) => [name, undefined])), { quiet: true });
  return sentences.map((sentence) => h("p", { class: "warning", role: "status" }, sentence));
}

function controlBar(app, controls, changed) {
  return h("div", { class: "controls", role: "group", "aria-label": "Settings" }, controls.map((control) => control.element(app, (value) => {
    const others = Object.fromEntries((control.resets ?? []).map((name) => [name, undefined]));
    const changes = { ...others, [control.name]: value === control.initial ? undefined : value };
    if (control.isStructural) return app.setState(changes);
    app.setState(changes, { quiet: true });
    return changed().catch(() => {}); // A card shows its error.
  })));
}

// A setting with a list of values. labels: their names for people. resets: the settings that start again when it changes.
export function choice(name, label, values, { initial = values[0], labels = {}, isStructural = false, resets = [] } = {}) {
  const isPossible = (value) => values.includes(value);
  const read = (app) => (isPossible(app.state[name]) ? app.state[name] : initial);
  return { name, initial, isStructural, resets, isPossible, read, element: (app, change) => h("label", {}, `${label} `, h("select", { onchange: (event) => change(event.target.value) },
    values.map((value) => h("option", { value, selected: value === read(app) }, labels[value] ?? value.replaceAll("_", " "))))) };
}

// A setting that is a number from `min` to `max`. isSlider: it is shown with its value.
export function count(name, label, initial, { min = 1, max = 1_000_000, step = 1, isSlider = false } = {}) {
  const isPossible = (text) => text !== null && text.trim() !== "" && Number(text) >= min && Number(text) <= max && (step !== 1 || Number.isInteger(Number(text)));
  const read = (app) => (isPossible(app.state[name] ?? null) ? Number(app.state[name]) : initial);
  const element = (app, change) => {
    const shown = isSlider && h("output", {}, String(read(app)));
    const input = h("input", {
      type: isSlider ? "range" : "number", min, max, step, value: String(read(app)),
      oninput: () => { if (shown) shown.textContent = input.value; },
      onchange: () => { if (input.checkValidity() && input.value !== "") change(Number(input.value)); else input.reportValidity(); },
    });
    return h("label", {}, `${label} `, input, shown);
  };
  return { name, initial, isPossible, read, element };
}

// A setting that is a text.
export function words(name, label, placeholder) {
  const read = (app) => (app.state[name] ?? "").trim();
  const element = (app, change) => h("label", {}, `${label} `, h("input", {
    type: "text", value: read(app), placeholder, spellcheck: "false", autocomplete: "off", onchange: (event) => change(event.target.value.trim()),
  }));
  return { name, initial: "", isPossible: (value) => value !== null, read, element };
}

// What a card asks: the statement of the catalog for all cells, or for those of the filters and the lasso. columns: the columns that take
// the place of its words, by word. isPopulation: hits are called in the cells of the filters, not in all cells.
export function asked(app, name, { columns = {}, parameters = {}, condition = app.cellCondition(), isPopulation = false } = {}) {
  const named = Object.fromEntries(Object.entries(columns).map(([word, column]) => [word, identifier(column)]));
  return {
    statement: condition ? `${name}.chosen` : name,
    words: condition ? { ...named, is_chosen: `(${condition})` } : named,
    parameters: { cells: condition && isPopulation ? CHOSEN : ALL_CELLS, cutoff: null, sd: null, below: false, ...parameters },
  };
}

// The condition of the filters on groups of the cube, and a note if a filter cannot choose groups.
export function groupCondition(app) {
  const ignored = FILTERS.filter((name) => !GROUP.includes(name) && app.state[name]?.length);
  const condition = app.condition("", GROUP);
  const notes = ignored.map((name) => `The filter of ${name}s is not applied here: a group has the cells of all its ${name}s.`);
  return { condition, notes };
}

// Show a card with a chart of the catalog. notes: a function of the rows that gives sentences.
export function showChart({ app, root, signal }, title, question, spec, notes = () => [], datasets = undefined) {
  const chart = app.catalog.specs[spec];
  return app.show(root, {
    title,
    ...question,
    signal,
    spec: datasets ? { ...chart, datasets } : chart,
    notes: ({ rows }) => [...notes(rows), ...chartNotes(rows, chart.usermeta)],
  });
}

export function unnamed(app, column) {
  return app.catalog.names_none[column] ?? [];
}
