// Charts: specifications of Vega-Lite over the named data set `table`.
import { inline } from "./inline.js";
import { cueScroll, h } from "./dom.js";

const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const DARK_CONFIG = {
  background: "transparent",
  title: { color: "#e8e8e8", subtitleColor: "#b5b5b5" },
  axis: { labelColor: "#cfcfcf", titleColor: "#cfcfcf", gridColor: "#3a3f45", domainColor: "#6b7177", tickColor: "#6b7177" },
  legend: { labelColor: "#cfcfcf", titleColor: "#cfcfcf" },
  header: { labelColor: "#cfcfcf", titleColor: "#cfcfcf" },
  text: { fill: "#e0e0e0" },
};

let loading;

// Vega is loaded when the first chart is drawn.
function vega() {
  loading ??= new Promise((resolve, reject) => {
    if (window.vegaEmbed) return resolve(window.vegaEmbed);
    const script = h("script", { src: "vega.js" });
    script.addEventListener("load", () => resolve(window.vegaEmbed));
    script.addEventListener("error", () => reject(new Error("The file vega.js of this page is missing.")));
    document.head.append(script);
  });
  return loading;
}

if (!inline("duckdb.worker.js")) setTimeout(vega); // while the atlas opens

// Draw a chart in a place. The result has png() and svg(), which draw on white, and remove().
export async function draw(place, spec, rows, title) {
  const values = rows.map(withNumbers);
  const embed = await vega();
  let view = null;
  async function drawAgain() {
    view?.finalize();
    view = await embedIn(place, DARK.matches);
  }
  async function embedIn(element, isDark, heading) {
    const found = await embed(element, { ...fillSpec(spec, values, title, isDark), ...heading }, {
      ast: true, // the policy of the page forbids eval
      actions: false,
      defaultStyle: false,
      renderer: values.length > 5000 ? "canvas" : "svg",
      tooltip: { theme: "custom", disableDefaultStyle: true },
    });
    return found.view;
  }
  async function onWhite(use) {
    const found = await embedIn(h("div"), false, { title: { text: title, anchor: "start" } });
    try {
      return await use(found);
    } finally {
      found.finalize();
    }
  }
  await drawAgain();
  cueScroll(place);
  DARK.addEventListener("change", drawAgain);
  return {
    png: () => onWhite(async (found) => (await fetchData(await found.toImageURL("png", 2)))),
    svg: () => onWhite((found) => found.toSVG()),
    remove() {
      DARK.removeEventListener("change", drawAgain);
      view?.finalize();
    },
  };
}

function fillSpec(spec, values, title, isDark) {
  const filled = { ...structuredClone(spec), datasets: { ...spec.datasets, table: values } };
  filled.data ??= { name: "table" };
  filled.description ??= title;
  filled.config = isDark ? merge(spec.config ?? {}, DARK_CONFIG) : { background: "white", ...spec.config };
  filled.autosize ??= { type: "pad", contains: "padding" };
  return filled;
}

function merge(one, other) {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return other;
  return Object.fromEntries([...new Set([...Object.keys(one), ...Object.keys(other)])].map((key) => [key, key in other ? merge(one[key], other[key]) : one[key]]));
}

function withNumbers(row) {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value]));
}

function fetchData(url) {
  return Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (character) => character.charCodeAt(0));
}
