// Legends, names and the picture of an embedding.
import { h, shown } from "./dom.js";

const LONGEST = 24;

// The names of groups at the medians of their cells; the largest group first.
export function namesOf({ x, y, group }, labels) {
  const members = labels.map(() => []);
  for (let i = 0; i < x.length; i++) members[group[i] - 1]?.push(i);
  return labels.flatMap((label, k) => {
    if (!members[k].length) return [];
    const name = label.length > LONGEST ? `${label.slice(0, LONGEST - 1)}…` : label;
    return [{ name, x: median(members[k], x), y: median(members[k], y) }];
  });
}

function median(places, values) {
  return Float32Array.from(places, (i) => values[i]).sort()[places.length >> 1];
}

export function scoreLegend([low, high], colours, percentile) {
  const bar = h("div", { class: "gradient", role: "img", "aria-label": `Colours from ${shown(low)} to ${shown(high)}` });
  bar.style.background = `linear-gradient(to right, ${colours.filter((_, i) => i % 15 === 0).join(", ")})`;
  return h("div", {}, h("div", { class: "hint" }, `Score, thousandths of a cell. The last colour stands for the ${percentile}th percentile and above.`),
    h("div", { class: "ends" }, h("span", {}, shown(low)), bar, h("span", {}, shown(high))));
}

export function groupLegend(groups, colours, pale) {
  const named = groups.filter(({ label }) => label !== null);
  const largest = named.slice(0, colours.length).map(({ label, n_cells: n }, i) => [label, n, colours[i]]);
  const rest = groups.filter((each) => !named.slice(0, colours.length).includes(each)).reduce((sum, each) => sum + each.n_cells, 0);
  return h("ul", { class: "swatches", "aria-label": "Groups" }, [...largest, ...(rest ? [["others", rest, pale]] : [])].map(([label, n, colour]) => {
    const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour;
    return h("li", {}, swatch, label, h("span", { class: "hint" }, ` ${n.toLocaleString("en")}`));
  }));
}

// The views beside each other as a PNG, with their titles and the names of groups.
export async function picture({ panels }) {
  const [{ width, height }] = panels.map(({ canvas }) => canvas);
  const ratio = width / panels[0].canvas.clientWidth;
  const top = 24 * ratio;
  const all = h("canvas");
  Object.assign(all, { width: width * panels.length, height: height + top });
  const context = all.getContext("2d");
  const { backgroundColor, color } = getComputedStyle(panels[0].figure.closest(".card"));
  context.fillStyle = backgroundColor;
  context.fillRect(0, 0, all.width, all.height);
  panels.forEach(({ canvas, overlay, view }, i) => {
    context.drawImage(canvas, i * width, top);
    context.fillStyle = color;
    context.font = `${13 * ratio}px sans-serif`;
    context.textAlign = "left";
    context.fillText(view.title, i * width + 8 * ratio, 16 * ratio);
    context.textAlign = "center";
    for (const text of overlay.querySelectorAll("text")) {
      context.lineWidth = 3 * ratio;
      context.strokeStyle = backgroundColor;
      const place = [text.textContent, i * width + text.getAttribute("x") * ratio, top + text.getAttribute("y") * ratio];
      context.strokeText(...place);
      context.fillText(...place);
    }
  });
  const blob = await new Promise((resolve) => all.toBlob(resolve, "image/png"));
  return new Uint8Array(await blob.arrayBuffer());
}
