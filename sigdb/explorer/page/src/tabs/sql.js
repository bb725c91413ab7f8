// A statement of one's own, with what was asked before in this browser.
import { h } from "../dom.js";

const KEY = "sigdb.history";
const KEPT = 50;
// What the reader ran since the page was opened. A statement that came by a link waits for *Run*.
const own = new Set();
const EXAMPLE = "SELECT study, cell_type, count(*) AS n_cells\nFROM cells\nGROUP BY ALL\nORDER BY n_cells DESC";

export default {
  id: "sql",
  title: "SQL",
  ignoresFilters: true,
  async render(root, app) {
    const area = h("textarea", { class: "sql", rows: "8", spellcheck: "false", "aria-label": "SQL", value: app.state.sql ?? EXAMPLE });
    const answer = h("div", {});
    const past = h("div", {});
    const run = (sql = area.value) => {
      own.add(sql);
      area.value = sql;
      return sql === app.state.sql ? ask() : app.setState({ sql });
    };
    async function ask() {
      answer.replaceChildren();
      const result = await app.show(answer, { title: "Answer", statement: area.value });
      if (result) remember({ sql: area.value, rows: result.rows.length, seconds: result.seconds, at: new Date().toISOString() });
      fillHistory();
    }
    function fillHistory() {
      const entries = history();
      past.replaceChildren(h("details", { open: entries.length > 0 && !app.state.sql }, h("summary", {}, `History (${entries.length})`),
        h("p", { class: "hint" }, "Kept in this browser only. ", h("button", { type: "button", class: "link", onclick: () => { forget(); fillHistory(); } }, "Forget it")),
        h("ol", { class: "history" }, entries.map((entry) => h("li", {},
          h("button", { type: "button", class: "past", onclick: () => run(entry.sql) }, entry.sql),
          h("span", { class: "hint" }, ` ${entry.rows.toLocaleString("en")} rows, ${entry.seconds.toFixed(2)} s, ${entry.at.slice(0, 16).replace("T", " ")}`))))));
    }
    area.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(); });
    root.append(
      h("div", { class: "card" }, area, h("div", { class: "buttons" },
        h("button", { type: "button", class: "main", onclick: () => run(), title: "Ctrl + Enter" }, "Run"),
        app.signature && h("button", { type: "button", onclick: () => { area.value = scoreOf(app.signature); area.focus(); } }, `Score of ${app.signature.name}`)),
      h("p", { class: "hint" }, "One statement. All views and macros of the atlas are there: FROM cells, signature_score([…]), check_genes([…]).")),
      answer, past);
    fillHistory();
    if (!app.state.sql) return;
    if (own.has(app.state.sql)) await ask();
    else answer.append(h("p", { class: "hint", role: "status" }, "This statement has not run yet. Read it, then press Run."));
  },
};

function scoreOf({ sqlGenes, sqlWeights, missing }) {
  const options = `weights := ${sqlWeights}, missing := '${missing.length ? "ignore" : "error"}'`;
  return `SELECT c.study, c.cell_type, count(*) AS n_cells, avg(s.score) AS score\nFROM signature_score(${sqlGenes}, ${options}) AS s\nJOIN cells AS c USING (cell_id)\nGROUP BY ALL\nORDER BY score DESC`;
}

// A browser may keep nothing, as in a private window.
function history() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

function remember(entry) {
  try {
    const others = history().filter(({ sql }) => sql !== entry.sql);
    localStorage.setItem(KEY, JSON.stringify([entry, ...others].slice(0, KEPT)));
  } catch {
    // Then there is no history.
  }
}

function forget() {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // There is none.
  }
}
