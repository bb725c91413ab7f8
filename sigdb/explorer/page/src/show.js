// One answer on the page: its chart, its notes, its table, and the SQL behind it, which can be changed and run again.
import { draw } from "./chart.js";
import { copy, h, newId, save } from "./dom.js";
import { explain, isAbort } from "./errors.js";
import { fill } from "./literals.js";
import { table, toCSV } from "./table.js";

// Tables of at most this many rows are open at first if there is a chart.
const OPEN = 12;

// Show the answer to a statement at the end of `root`, and return the answer.
// statement: the name of a statement of the catalog, or SQL. parameters: values for its $names. words: SQL for its words.
// spec: a chart over the rows: the name of one in the catalog, a specification, or a function of the rows that makes one.
// notes: sentences, or a function of the answer that gives them. signal: ends the question.
export async function show(root, app, { title, statement, parameters, words, spec, notes = [], signal, isTableOpen }) {
  const found = app.catalog.statements[statement];
  const sql = fill(withoutComments(found?.sql ?? statement), { ...app.parameters(), ...parameters }, words);
  const card = new Card(app, { title, sql, spec: app.catalog.specs[spec] ?? spec, notes, isTableOpen });
  root.append(card.element);
  signal?.addEventListener("abort", () => card.stop(), { once: true });
  return card.run();
}

function withoutComments(sql) {
  return sql.replace(/^(\s*--[^\n]*\n)+/, "").trim();
}

class Card {
  constructor(app, { title, sql, spec, notes, isTableOpen }) {
    Object.assign(this, { app, title, sql, spec, notes, isTableOpen, chart: null, result: null });
    const id = newId("card");
    this.buttons = h("div", { class: "buttons" },
      this.button("CSV", () => save(`${title}.csv`, toCSV(this.result), "text/csv")),
      spec && this.button("PNG", async () => save(`${title}.png`, await this.chart.png(), "image/png")),
      spec && this.button("SVG", async () => save(`${title}.svg`, await this.chart.svg(), "image/svg+xml")),
    );
    this.content = h("div", { class: "content", "aria-live": "polite" });
    this.element = h("section", { class: "card", "aria-labelledby": id },
      h("header", {}, h("h2", { id }, title), this.buttons), this.content, this.editor());
    this.enable(false);
  }

  button(name, act) {
    return h("button", { type: "button", "aria-label": `Download ${this.title} as ${name}`, title: `Download as ${name}`, onclick: act }, name);
  }

  editor() {
    const area = h("textarea", { class: "sql", spellcheck: "false", "aria-label": `SQL of ${this.title}`, rows: Math.min(18, this.sql.split("\n").length + 1), value: this.sql });
    const run = () => { this.sql = area.value; this.run().catch(() => {}); };
    area.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(); });
    const copied = h("span", { role: "status", class: "hint" });
    const original = this.sql;
    return h("details", { class: "editor" }, h("summary", {}, "SQL"), area, h("div", { class: "buttons" },
      h("button", { type: "button", onclick: run, title: "Ctrl + Enter" }, "Run"),
      h("button", { type: "button", onclick: async () => { await copy(area.value); copied.textContent = "Copied."; } }, "Copy"),
      h("button", { type: "button", onclick: () => { area.value = original; run(); } }, "Reset"),
      h("button", { type: "button", onclick: () => this.app.setState({ tab: "sql", sql: area.value }) }, "Open in the SQL tab"),
      copied));
  }

  enable(isReady) {
    for (const button of this.buttons.children) button.disabled = !isReady || (button.textContent !== "CSV" && !this.chart);
  }

  stop() {
    this.controller?.abort();
  }

  // Ask, and show the answer or the error. The result is null if the reader or another question stopped it.
  async run() {
    this.stop();
    const { signal } = (this.controller = new AbortController());
    this.enable(false);
    const waiting = setTimeout(() => this.content.replaceChildren(this.waiting()), this.result ? 300 : 0);
    try {
      const started = performance.now();
      const result = await this.app.ask(this.sql, { signal });
      result.seconds = (performance.now() - started) / 1000;
      signal.throwIfAborted();
      this.result = result;
      await this.showResult();
      return result;
    } catch (error) {
      if (this.controller.signal !== signal) return null;
      this.chart?.remove();
      this.chart = null;
      this.content.replaceChildren(isAbort(error) ? this.stopped() : problem(error));
      this.app.noteProblem(error);
      return null;
    } finally {
      clearTimeout(waiting);
    }
  }

  waiting() {
    const clock = h("span", { "aria-hidden": "true" });
    const started = performance.now();
    const ticking = setInterval(() => {
      clock.textContent = `${Math.round((performance.now() - started) / 1000)} s `;
      if (!clock.isConnected) clearInterval(ticking);
    }, 1000);
    return h("p", { class: "waiting", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), "Asking … ", clock,
      h("button", { type: "button", onclick: () => this.stop() }, "Cancel"));
  }

  stopped() {
    return h("p", { class: "hint" }, "Cancelled. ", h("button", { type: "button", onclick: () => this.run() }, "Ask again"));
  }

  async showResult() {
    const { result } = this;
    this.chart?.remove();
    this.chart = null;
    const found = typeof this.notes === "function" ? this.notes(result) : this.notes;
    const notes = result.rows.length ? found : [];
    const spec = typeof this.spec === "function" ? this.spec(result.rows) : this.spec;
    const place = spec && result.rows.length > 0 && h("div", { class: "chart wide", tabindex: "0", role: "region", "aria-label": `Chart: ${this.title}` });
    this.content.replaceChildren(...[
      result.rows.length === 0 && h("p", { class: "hint" }, "There are no rows."),
      place,
      notes.length > 0 && h("ul", { class: "notes" }, notes.map((note) => h("li", {}, note))),
      result.rows.length > 0 && this.tableOf(result, Boolean(place)),
    ].filter(Boolean));
    if (place) {
      try {
        this.chart = await draw(place, spec, result.rows, this.title);
      } catch (error) {
        place.replaceChildren(problem(new Error(`This chart could not be drawn: ${error.message}. The table has its numbers.`)));
      }
    }
    this.enable(true);
  }

  tableOf(result, hasChart) {
    const count = `${result.rows.length.toLocaleString("en")} row${result.rows.length === 1 ? "" : "s"}`;
    const seconds = h("span", { class: "hint" }, ` ${result.seconds.toFixed(2)} s`);
    const isOpen = this.isTableOpen ?? (!hasChart || result.rows.length <= OPEN);
    return h("details", { open: isOpen }, h("summary", {}, `Table: ${count}`, seconds), table(result, this.title));
  }
}

// An error as a reader sees it: whole, and announced.
export function problem(error) {
  return h("pre", { class: "problem", role: "alert" }, explain(error));
}
