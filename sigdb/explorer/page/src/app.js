// What all parts of the page share: the engine, the state of the address, the signature, the filters, and the tab.
import { h } from "./dom.js";
import { isAbort } from "./errors.js";
import { NO_LASSO, findLasso } from "./lasso.js";
import { fill, isOneOf, literal, written } from "./literals.js";
import { problem, show } from "./show.js";
import { parseSignature } from "./signatures.js";
import { FILTERS, NO_FILTERS, changed, keeps, readHash, writeHash } from "./state.js";

export class App {
  // name: that of the atlas. place: the element in which a tab is shown.
  constructor({ name, engine, catalog, tabs, place }) {
    Object.assign(this, { name, engine, catalog, tabs, place, listeners: {}, signatures: [], resolved: null, lasso: null });
    this.state = readHash(location.hash);
    this.rendering = new AbortController();
    // What can wait for the first answer waits for this.
    this.isShown = new Promise((resolve) => { this.noteShown = resolve; });
    for (const event of ["hashchange", "popstate"]) window.addEventListener(event, () => this.follow());
  }

  // Answer SQL: {columns: [{name, type, isNumber}], rows: [{…}], table}. Ends when the tab changes, or by a signal.
  ask(sql, { signal } = {}) {
    return this.engine.ask(sql, { signal: signal ?? this.rendering.signal });
  }

  // Answer a statement of the catalog; values and words as for `fill`.
  askStatement(name, values = {}, words = {}, options = {}) {
    return this.ask(fill(this.catalog.statements[name].sql, { ...this.parameters(), ...values }, words), options);
  }

  on(event, listener) {
    (this.listeners[event] ??= new Set()).add(listener);
    return () => this.listeners[event].delete(listener);
  }

  emit(event, detail) {
    for (const listener of this.listeners[event] ?? []) listener(detail);
  }

  // The values that most statements take. A signature with unknown genes is asked about without them; the page says so.
  parameters() {
    const { signature } = this;
    return {
      genes: signature ? written(signature.sqlGenes) : [],
      weights: signature ? written(signature.sqlWeights) : null,
      agg: "mean",
      missing: signature?.missing.length ? "ignore" : "error",
      run: this.state.run ?? null,
      signed: this.state.signed === "true",
      measured_only: false,
      min_coverage: 0,
    };
  }

  // The signature that the tabs are about, of all `signatures`; null if there is none.
  get signature() {
    return this.signatures[Math.min(Number(this.state.at ?? 0), this.signatures.length - 1)] ?? null;
  }

  // The SQL condition of the filters on columns of `cells`, or null. prefix: the alias of the table, such as "c.".
  // columns: the filters that count.
  condition(prefix = "", columns = FILTERS) {
    const parts = columns.map((column) => isOneOf(prefix + column, this.state[column])).filter(Boolean);
    return parts.length ? parts.join(" AND ") : null;
  }

  // The SQL condition of the filters and the lasso on columns of `cells`, or null.
  cellCondition(prefix = "") {
    return [this.condition(prefix), this.lasso?.condition(prefix)].filter(Boolean).join(" AND ") || null;
  }

  // Find the cells of the lasso of the address, unless they are known.
  async findLasso(signal) {
    const { lasso, basis, embedded, run } = this.state;
    const key = lasso && JSON.stringify([lasso, basis, embedded, run, this.condition()]);
    if (key !== this.lassoKey) {
      this.lasso = await findLasso(this, signal);
      this.lassoKey = key;
    }
    this.emit("lasso");
  }

  // The signatures of the library by their name in small letters. They are asked for once.
  library() {
    this.signaturesOfLibrary ??= this.askStatement("explorer/frame.library", {}, {}, { signal: new AbortController().signal })
      .then(({ rows }) => new Map(rows.map((row) => [row.signature.toLowerCase(), row])));
    this.signaturesOfLibrary.catch(() => { this.signaturesOfLibrary = null; });
    return this.signaturesOfLibrary;
  }

  // The groups of cells of the run with the values of the filters, and their cells. They are asked for once.
  groups() {
    const run = this.state.run ?? null;
    if (this.found?.run !== run) {
      const rows = this.askStatement("explorer/frame.groups", { run }, {}, { signal: new AbortController().signal }).then((answer) => answer.rows);
      this.found = { run, rows };
      rows.catch(() => { this.found = null; });
    }
    return this.found.rows;
  }

  // Change the state. quiet: without a new entry in the history of the browser, and without rendering the tab again.
  setState(changes, { quiet = false } = {}) {
    this.state = changed(this.state, changes);
    const hash = writeHash(this.state);
    if (hash === location.hash || (hash === "#" && !location.hash)) return null;
    history[quiet ? "replaceState" : "pushState"](null, "", hash);
    return quiet ? null : this.update();
  }

  follow() {
    const state = readHash(location.hash);
    if (writeHash(state) === writeHash(this.state)) return;
    this.state = state;
    this.update();
  }

  get tab() {
    return this.tabs.find((each) => each.id === this.state.tab) ?? (this.state.s ? this.tabs.find((each) => each.id === "scores") : this.tabs[0]);
  }

  // Show what the state says. A newer state ends this.
  async update() {
    this.rendering.abort();
    const { signal } = (this.rendering = new AbortController());
    this.emit("state");
    const root = h("div", { class: "tab" });
    const focused = this.place.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    this.place.replaceChildren(root);
    this.place.setAttribute("aria-labelledby", `tab-${this.tab.id}`);
    this.place.setAttribute("aria-busy", "true");
    try {
      await this.resolve(signal);
      await this.findLasso(signal);
      if (this.lasso && this.tab.withoutLasso) root.append(h("p", { class: "hint", role: "status" }, `The lasso does not choose cells here: ${this.tab.withoutLasso}`));
      if (!this.tab.ignoresFilters && !(await this.hasCells())) root.append(this.noCells());
      else if (this.lasso?.n_cells === 0 && this.tab.followsLasso) root.append(this.emptyLasso());
      else if (this.tab.needsSignature && !this.signature?.known) root.append(this.hint());
      else await this.tab.render(root, this, signal);
      // A control that changed the state keeps the focus.
      if (focused && document.activeElement === document.body) root.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      root.append(problem(error));
      this.noteProblem(error);
    } finally {
      if (!signal.aborted) this.place.setAttribute("aria-busy", "false");
      this.noteShown();
    }
  }

  async hasCells() {
    return !this.condition() || (await this.groups()).some((group) => keeps(this.state, group));
  }

  noCells() {
    return h("p", { class: "hint", role: "status" }, "No cell passes the filters. ", h("button", { type: "button", onclick: () => this.setState(NO_FILTERS) }, "Clear all"));
  }

  emptyLasso() {
    return h("p", { class: "hint", role: "status" }, "The lasso has no cell that the filters keep. ", h("button", { type: "button", onclick: () => this.setState(NO_LASSO) }, "Remove the lasso"));
  }

  hint() {
    const { signature } = this;
    if (!signature) return h("p", { class: "hint" }, "Type or pick a signature first.");
    return h("p", { class: "hint" }, signature.problem ?? noneKnown(signature));
  }

  // Look up the signatures of the state: the genes of the library, and what each name means in this atlas.
  async resolve(signal) {
    await this.nameLibrary();
    signal.throwIfAborted();
    const key = JSON.stringify([this.state.s, this.state.run]);
    if (key === this.resolved) return;
    const found = (this.state.s ?? []).map(parseSafely);
    const names = found.map((each) => each.library).filter(Boolean);
    if (names.length) {
      const { rows } = await this.askStatement("explorer/frame.members", { names }, {}, { signal });
      for (const each of found.filter(({ library }) => library)) fillFromLibrary(each, rows);
    }
    const genes = [...new Set(found.flatMap((each) => each.genes))];
    const reports = genes.length ? (await this.askStatement("explorer/frame.check", { genes }, {}, { signal })).rows : [];
    const byGene = new Map(reports.map((row) => [row.gene, row]));
    this.signatures = found.map((each) => withReport(each, byGene));
    this.resolved = key;
    this.emit("signature");
  }

  // A single word that names a signature of the library means that one, as for the command line.
  async nameLibrary() {
    const texts = this.state.s ?? [];
    if (!texts.some((text) => /^[^\s@]+$/.test(text))) return;
    const library = await this.library();
    const s = texts.map((text) => (library.has(text.toLowerCase()) ? `@${library.get(text.toLowerCase()).signature}` : text));
    if (s.some((text, place) => text !== texts[place])) this.setState({ s }, { quiet: true });
  }

  show(root, options) {
    return show(root, this, { signal: this.rendering.signal, ...options });
  }

  noteProblem(error) {
    if (error.kind === "unauthenticated") this.emit("unauthenticated");
  }
}

function noneKnown({ genes, name }) {
  return genes.length === 1 ? `The atlas does not know the gene ${genes[0]}.` : `The atlas knows none of the ${genes.length} genes of ${name}.`;
}

function parseSafely(text) {
  try {
    return { text, ...parseSignature(text) };
  } catch (error) {
    return { text, name: text.slice(0, 30), library: null, genes: [], weights: null, problem: error.message };
  }
}

function fillFromLibrary(signature, rows) {
  const members = rows.filter((row) => row.signature === signature.library);
  signature.genes = members.map((row) => row.gene);
  signature.weights = members.some((row) => row.weight !== 1) ? members.map((row) => row.weight) : null;
  if (!members.length) signature.problem = `The library of this atlas has no signature ${signature.library}.`;
}

function withReport(signature, byGene) {
  const report = signature.genes.map((gene) => byGene.get(gene));
  return {
    ...signature,
    report,
    known: report.filter((row) => row.symbol !== null).length,
    missing: report.filter((row) => row.symbol === null).map((row) => row.gene),
    sqlGenes: literal(signature.genes),
    sqlWeights: literal(signature.weights),
  };
}
