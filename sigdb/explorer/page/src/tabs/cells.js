// The cells of a study in an embedding, coloured by score and by group, and what is special about those in a lasso.
import { h, save } from "../dom.js";
import { EmbeddingViews } from "../embedding-views.js";
import { NO_LASSO, findPlaces } from "../lasso.js";
import { identifier } from "../literals.js";
import { colourEnds, levelsOf, scoreColours, words } from "../paint.js";
import { insideOf, insideSQL, readPolygon, writePolygon } from "../polygon.js";
import { groupLegend, namesOf, picture, scoreLegend } from "../embedding-legends.js";
import { showSpecial } from "../special.js";

// On a dark page, cells without a colour are dark.
const DARK_PALE = "#3d434a";
const DARK = window.matchMedia("(prefers-color-scheme: dark)");
// More cells than this are drawn as squares.
const MOST = 1_000_000;
const N_BINS = 600;
const BESIDE = { cell_type: "cell type", disease: "disease", tissue: "tissue", donor: "donor", sample: "sample" };

export default {
  id: "cells",
  title: "Cells",
  needsSignature: true,
  async render(root, app, signal) {
    const { embeddings, basis, place, studies, study } = await findPlaces(app, signal);
    if (!embeddings.length) return root.append(howToAdd());
    if (!studies.length) return root.append(h("p", { class: "hint" }, `No cell that the filters keep has a place in ${basis}.`));
    const beside = Object.hasOwn(BESIDE, app.state.beside ?? "") ? app.state.beside : "cell_type";
    await new CellsTab({ root, app, signal, embeddings, basis, studies, study, beside, place: { ...place, label_column: identifier(beside) } }).render();
  },
};

function howToAdd() {
  return h("div", { class: "card" }, h("h2", {}, "This atlas has no embedding of its cells"),
    h("p", {}, "An embedding comes from the file of a study. To add one to the cells that are in the atlas:"),
    h("pre", { class: "sql" }, "sigdb annotate ATLAS.duckdb FILE.h5ad --obsm X_umap"),
    h("p", { class: "hint" }, "For new studies, `sigdb ingest` has the same option. The other tabs work without an embedding."));
}

class CellsTab {
  constructor(given) {
    Object.assign(this, given);
    const { lasso } = this.app;
    this.polygon = lasso?.study === this.study.study ? lasso.polygon : null;
    this.below = h("div", {});
    this.count = h("span", { role: "status", class: "hint" });
  }

  get condition() {
    const { x_column: x, y_column: y } = this.place;
    return this.polygon ? insideSQL(this.polygon, `c.${x}`, `c.${y}`) : "FALSE";
  }

  async render() {
    const { root, app, signal, study } = this;
    const drawn = h("div", {}, h("p", { class: "waiting", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), `Fetching ${study.n_cells.toLocaleString("en")} cells …`));
    root.append(this.choices(), drawn, this.below);
    const found = await this.showGroups();
    if (!found) return drawn.remove();
    this.groups = found.rows;
    this.labels = found.rows.map((row) => row.label).filter((label) => label !== null).map(String);
    this.points = await this.fetchPoints();
    signal.throwIfAborted();
    drawn.replaceChildren(this.card());
    const follow = () => { this.views.remove(); drawn.replaceChildren(this.card()); };
    DARK.addEventListener("change", follow);
    signal.addEventListener("abort", () => { DARK.removeEventListener("change", follow); this.views.remove(); });
    await this.showSpecial(found);
  }

  ask(statement, values = {}) {
    return this.app.askStatement(statement, { study: this.study.study, ...values }, { ...this.place, is_lassoed: this.condition });
  }

  show(place, options) {
    const signal = AbortSignal.any([this.signal, this.asking.signal]);
    return this.app.show(place, { ...options, signal, parameters: { study: this.study.study, ...options.parameters }, words: { ...this.place, is_lassoed: this.condition } });
  }

  // The columns of the answer as arrays of numbers.
  async fetchPoints() {
    const isMany = this.study.n_cells > MOST;
    const { table } = await this.ask(isMany ? "explorer/cells.squares" : "explorer/cells.points", { labels: this.labels, n_bins: N_BINS });
    const [x, y, score, n, group, cell] = ["x", "y", "score", "n", "group", "cell_id"].map((name) => table.getChild(name).toArray());
    const width = isMany ? smallestStep(x) : 0;
    return { x, y, score, n, group, cell, width };
  }

  choices() {
    const { app, basis, embeddings, studies, study, beside } = this;
    // Another embedding has other positions.
    const select = (label, name, entries, chosen) => {
      const element = h("select", { onchange: () => app.setState({ [name]: element.value, ...(name === "beside" ? {} : { ...NO_LASSO, look: undefined }) }) },
        entries.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
      return h("label", {}, label, " ", element);
    };
    return h("div", { class: "controls" },
      select("Embedding", "basis", embeddings.map((each) => [each, each]), basis),
      select("Study", "embedded", studies.map((each) => [each.study, `${each.study} (${each.n_cells.toLocaleString("en")})`]), study.study),
      select("Beside the score", "beside", Object.entries(BESIDE), beside));
  }

  card() {
    const { app, points, study, basis, beside } = this;
    const isDark = DARK.matches;
    const { colours: ofLargest, pale: lightPale, percentile } = app.catalog.embedding;
    const pale = isDark ? DARK_PALE : lightPale;
    const ends = colourEnds(points.score, points.n, percentile);
    const colours = scoreColours(isDark);
    const ofGroups = this.labels.map((_, i) => ofLargest[i] ?? pale);
    this.views = new EmbeddingViews({
      points,
      pale: words([pale])[0],
      views: [
        { title: `Score of ${app.signature.name}`, keys: levelsOf(points.score, ends), colours: words(colours) },
        { title: BESIDE[beside], keys: points.group, colours: words([pale, ...ofGroups]), names: namesOf(points, this.labels.slice(0, ofLargest.length)) },
      ].map((view) => ({ ...view, description: `${basis} of ${study.study}, coloured by ${view.title}. The table below has the numbers. Arrow keys move, + and − zoom, 0 shows all, Escape removes the lasso.` })),
      describe: (i) => this.describe(i),
      onLasso: (polygon) => this.lasso(polygon),
      onMove: (camera) => this.noteView(camera),
    });
    const look = (app.state.look ?? "").split(",").map(Number);
    if (look.length === 3 && look.every(Number.isFinite) && look[2] > 0) this.views.look({ x: look[0], y: look[1], zoom: look[2] });
    this.choose();
    return h("section", { class: "card", "aria-label": "Embedding" }, this.buttons(), this.views.element,
      h("div", { class: "legends" }, scoreLegend(ends, colours, percentile), groupLegend(this.groups, ofLargest, pale)),
      h("ul", { class: "notes" }, this.notes().map((note) => h("li", {}, note))));
  }

  buttons() {
    const { views } = this;
    const lasso = h("button", { type: "button", "aria-pressed": "false", title: "Or drag with the shift key", onclick: () => { views.isLasso = !views.isLasso; lasso.ariaPressed = String(views.isLasso); views.element.classList.toggle("lassoing", views.isLasso); } }, "Lasso");
    const button = (name, title, onclick) => h("button", { type: "button", title, "aria-label": title, onclick }, name);
    return h("div", { class: "buttons" }, lasso,
      button("Select what is in view", "Select the cells in view", () => this.lasso(views.window())),
      button("Clear", "Remove the lasso", () => this.lasso(null)),
      button("+", "Zoom in", () => views.zoom(1.5)), button("\u2212", "Zoom out", () => views.zoom(1 / 1.5)), button("All", "Show all cells", () => views.reset()),
      button("PNG", "Download the embedding as PNG", async () => save(`${this.basis} of ${this.study.study}.png`, await picture(views), "image/png")),
      this.count);
  }

  notes() {
    const nColours = this.app.catalog.embedding.colours.length;
    return [
      this.points.width > 0
        ? `The study has more than ${MOST.toLocaleString("en")} cells: a square shows the mean of its cells.`
        : "A point is a cell. The highest scores are drawn last.",
      "Positions mean little: distances and sizes of clusters depend on how the embedding was made. Each study has an embedding of its own.",
      this.labels.length > nColours && `The ${nColours} largest of ${this.labels.length} groups have a colour.`,
    ].filter(Boolean);
  }

  describe(i) {
    const { score, n, group, cell } = this.points;
    const what = this.points.width > 0 ? `${n[i].toLocaleString("en")} cells, mean score` : `cell ${cell[i]}, score`;
    return `${this.labels[group[i] - 1] ?? "no group"}: ${what} ${score[i].toPrecision(3)}`;
  }

  noteView(camera) {
    clearTimeout(this.noting);
    this.noting = setTimeout(() => {
      const look = camera && [camera.x, camera.y, camera.zoom].map((value) => Number(value.toPrecision(6))).join(",");
      if (!this.signal.aborted) this.app.setState({ look: look ?? undefined }, { quiet: true });
    }, 300);
  }

  // Choose the cells in a polygon, and keep it in the address, which rounds it.
  lasso(polygon) {
    const { left, right, low, high } = this.views.box;
    const text = polygon ? writePolygon(polygon, Math.max(right - left, high - low)) : undefined;
    this.polygon = readPolygon(text);
    this.app.setState({ ...NO_LASSO, lasso: text, ...(text && { basis: this.basis, embedded: this.study.study }) }, { quiet: true });
    this.choose();
    this.showBelow().catch((error) => { if (!this.signal.aborted) throw error; });
  }

  choose() {
    const { polygon, points } = this;
    let chosen = null;
    if (polygon) {
      const isInside = insideOf(polygon);
      chosen = Uint8Array.from(points.x, (x, i) => (isInside(x, points.y[i]) ? 1 : 0));
    }
    this.views.choose(chosen, polygon);
    const n = chosen ? chosen.reduce((sum, is, i) => sum + is * points.n[i], 0) : 0;
    this.count.textContent = polygon ? `${points.width > 0 ? "About " : ""}${n.toLocaleString("en")} cells in the lasso` : "";
  }

  async showBelow() {
    await this.showSpecial(await this.showGroups());
    await this.app.findLasso(this.signal);
  }

  // The table of groups. It says what the picture shows, and counts the cells in the lasso.
  showGroups() {
    // Questions about an earlier lasso end.
    this.asking?.abort();
    this.asking = new AbortController();
    const table = h("div", {});
    this.special = h("div", {});
    this.below.replaceChildren(this.special, table);
    const where = this.polygon ? ", in the lasso and outside" : "";
    return this.show(table, { title: `Scores by ${BESIDE[this.beside]}${where}`, statement: "explorer/cells.groups", isTableOpen: true });
  }

  async showSpecial(found) {
    const { polygon, special, app } = this;
    if (!polygon || !found) return;
    await showSpecial(special, this, { n: sum(found.rows, "n_lassoed"), all: sum(found.rows, "n_cells"), isAsked: app.state.special === "1" });
  }
}

function sum(rows, name) {
  return rows.reduce((total, row) => total + row[name], 0);
}

// The width of the squares of a grid: the least distance between two of their positions.
function smallestStep(values) {
  const sorted = Float32Array.from(new Set(values)).sort();
  let step = Infinity;
  for (let i = 1; i < sorted.length; i++) step = Math.min(step, sorted[i] - sorted[i - 1]);
  return Number.isFinite(step) ? step : 1;
}

