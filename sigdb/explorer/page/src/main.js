// Start the page: find out where the atlas is, open it, and show what the address says.
import { App } from "./app.js";
import { h } from "./dom.js";
import { logIn, refusal, serverEngine } from "./engines/server.js";
import { wasmEngine } from "./engines/wasm.js";
import { fillFrame } from "./frame.js";
import { inline, loadJSON } from "./inline.js";
import { fill, identifier, literal } from "./literals.js";
import { problem } from "./show.js";
import { readHash } from "./state.js";
import tabs from "./tabs/index.js";

const panel = document.getElementById("panel");
const notices = document.getElementById("notices");
// The user of a server without tokens.
const LOCAL = "local";
let app = null;

function tell(sentence) {
  panel.replaceChildren(h("p", { class: "waiting", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), sentence));
}

function warn(sentence) {
  notices.append(h("p", { role: "status" }, sentence));
}

async function start() {
  tell("Opening …");
  const config = await loadConfig();
  if (!config) return;
  const { atlases } = config;
  const wanted = readHash(location.hash).atlas;
  const atlas = atlases.find((each) => each.name === wanted) ?? atlases[0];
  if (wanted && atlas && atlas.name !== wanted) warn(`There is no atlas ${wanted} here. This is ${atlas.name}.`);
  if (config.engine === "server" && !atlas) throw new Error("This server has no atlas.");
  if (config.engine === "server") return run(serverEngine(atlas.name), atlas.name, config);
  if (!atlas) return pick(wanted, config);
  return run(await wasmEngine({ url: new URL(atlas.url, location.href).href }, { tell, warn }), atlas.name, config);
}

// What the page is about; null if the server wants a token first.
async function loadConfig() {
  const found = inline("config.json");
  if (found) return found;
  if (location.protocol === "file:") return { engine: "wasm", atlases: [] };
  const answer = await fetch("config.json", { cache: "no-cache", credentials: "same-origin" });
  if (answer.status === 401) {
    askForToken();
    return null;
  }
  if (answer.status === 404) return { engine: "wasm", atlases: [] };
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

async function run(engine, name, config) {
  await app?.engine.close();
  const catalog = await loadJSON("catalog.json");
  if (!catalog) throw new Error("The file catalog.json of this page is missing.");
  app = new App({ name, engine, catalog, tabs, place: panel });
  app.on("unauthenticated", askForToken);
  document.title = `${name} – sigdb explorer`;
  window.sigdb = { app, literal, identifier, fill }; // for the console of the browser, and for tests
  fillFrame(app, { name, atlases: config.atlases, user: config.user === LOCAL ? null : config.user, onOpen: config.engine === "wasm" ? () => pick(null, config) : null });
  await app.update();
}

// Let the reader pick a file of this machine. wanted: the name of the atlas of a link.
function pick(wanted, config) {
  const input = h("input", { type: "file", accept: ".duckdb,.db", id: "file", onchange: () => use(input.files[0]) });
  async function use(file) {
    if (!file) return;
    try {
      notices.replaceChildren();
      await run(await wasmEngine({ file }, { tell, warn }), file.name.replace(/\.duckdb$/, ""), config);
    } catch (error) {
      pick(null, config);
      panel.prepend(problem(error));
    }
  }
  panel.replaceChildren(h("div", {
    class: "drop",
    ondragover: (event) => event.preventDefault(),
    ondrop: (event) => { event.preventDefault(); use(event.dataTransfer.files[0]); },
  }, h("h2", {}, wanted ? `Pick the file of the atlas ${wanted}` : "Open an atlas"),
  h("p", {}, "Pick an atlas file (.duckdb), or drop it here. It is read in place, and no part of it leaves this machine."),
  h("label", { class: "main", for: "file" }, "Atlas file"), input));
}

function askForToken() {
  const field = h("input", { type: "password", autocomplete: "current-password", id: "token", required: true });
  const said = h("div", {});
  const form = h("form", { class: "drop", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await logIn(field.value);
      location.reload();
    } catch (error) {
      said.replaceChildren(problem(error));
    }
  } }, h("h2", {}, "This server asks for a token"), h("label", { for: "token" }, "Your token"), field, h("button", { class: "main" }, "Open"), said);
  panel.replaceChildren(form);
  field.focus();
}

window.addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name !== "AbortError") notices.append(problem(event.reason));
});

start().catch((error) => panel.replaceChildren(problem(error)));
