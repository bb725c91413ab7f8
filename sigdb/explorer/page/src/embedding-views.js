// Views of the same points beside each other, which move together: zoom, pan, lasso, and what is under the pointer.
import { h } from "./dom.js";
import { nearest, paint } from "./paint.js";
import { simplify } from "./polygon.js";

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 8; // pixels
const STEP = 1.25;

// views: [{title, keys, colours, names}]: the colour of each point, and names that stand at positions.
// points: {x, y, n, width}: width is that of a square in data, 0 if the points are cells.
export class EmbeddingViews {
  constructor({ views, points, pale, describe, onLasso, onMove }) {
    Object.assign(this, { views, points, pale, describe, onLasso, onMove, chosen: null, polygon: null, isLasso: false });
    this.box = boxOf(points);
    this.panels = views.map((view) => this.panelOf(view));
    this.tip = h("div", { class: "tip", role: "status", hidden: true });
    this.element = h("div", { class: "embedding" }, this.panels.map(({ figure }) => figure), this.tip);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.panels[0].canvas);
  }

  remove() {
    this.observer.disconnect();
  }

  panelOf(view) {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const overlay = svg("svg", { role: "img", tabindex: "0", "aria-label": view.description, "aria-keyshortcuts": "ArrowLeft ArrowRight ArrowUp ArrowDown + - 0 Escape" });
    const panel = { view, canvas, overlay };
    overlay.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(STEP ** (-event.deltaY / 100), this.inData(event)); }, { passive: false });
    overlay.addEventListener("pointerdown", (event) => this.begin(event, overlay));
    overlay.addEventListener("pointermove", (event) => this.hover(event));
    overlay.addEventListener("pointerleave", () => this.mark(-1));
    overlay.addEventListener("keydown", (event) => this.press(event));
    panel.figure = h("figure", {}, h("figcaption", {}, view.title), h("div", { class: "plane" }, canvas, overlay));
    return panel;
  }

  // All points, with a margin.
  fit() {
    const { left, right, low, high } = this.box;
    const scale = Math.min(this.width / (right - left), this.height / (high - low)) * 0.94;
    return { x: (left + right) / 2, y: (low + high) / 2, scale };
  }

  resize() {
    const { clientWidth, clientHeight } = this.panels[0].canvas;
    if (!clientWidth) return;
    Object.assign(this, { width: clientWidth, height: clientHeight, density: Math.min(2, devicePixelRatio) });
    for (const { canvas, overlay } of this.panels) {
      Object.assign(canvas, { width: Math.round(this.width * this.density), height: Math.round(this.height * this.density) });
      overlay.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    }
    this.whole = this.fit();
    this.camera = this.camera ? { ...this.camera, scale: this.camera.zoom * this.whole.scale } : { ...this.whole, zoom: 1 };
    this.draw();
  }

  // Look at a place, with a zoom of 1 for the whole. Before there is a size, it is kept for later.
  look({ x, y, zoom }) {
    this.camera = { x, y, zoom, scale: zoom * (this.whole?.scale ?? 1) };
    if (this.whole) this.drawSoon();
  }

  reset() {
    this.look({ ...this.whole, zoom: 1 });
    this.onMove(null);
  }

  zoom(factor, about = this.camera) {
    const zoom = Math.max(0.5, Math.min(2000, this.camera.zoom * factor));
    const kept = this.camera.zoom / zoom;
    this.look({ x: about.x + (this.camera.x - about.x) * kept, y: about.y + (this.camera.y - about.y) * kept, zoom });
    this.onMove(this.camera);
  }

  pan(dx, dy) {
    const { x, y, scale, zoom } = this.camera;
    this.look({ x: x - dx / scale, y: y + dy / scale, zoom });
    this.onMove(this.camera);
  }

  press(event) {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (steps[event.key]) this.pan(...steps[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "0") this.reset();
    else if (event.key === "Escape" && this.polygon) this.onLasso(null);
    else return;
    event.preventDefault();
  }

  inData({ clientX, clientY, currentTarget }, element = currentTarget) {
    const { left, top } = element.getBoundingClientRect();
    return { x: this.camera.x + (clientX - left - this.width / 2) / this.camera.scale, y: this.camera.y - (clientY - top - this.height / 2) / this.camera.scale };
  }

  inView(x, y) {
    return [(x - this.camera.x) * this.camera.scale + this.width / 2, this.height / 2 - (y - this.camera.y) * this.camera.scale];
  }

  // The corners of what is in view.
  window() {
    const { x, y, scale } = this.camera;
    const [dx, dy] = [this.width / 2 / scale, this.height / 2 / scale];
    return [x - dx, y - dy, x + dx, y - dy, x + dx, y + dy, x - dx, y + dy];
  }

  // Drag to pan; with the lasso or the shift key, to draw around cells.
  begin(event, overlay) {
    if (event.button !== 0 || !this.camera) return;
    overlay.setPointerCapture(event.pointerId);
    const path = this.isLasso || event.shiftKey ? [] : null;
    let last = event;
    const move = (next) => {
      this.mark(-1);
      if (path) {
        const { x, y } = this.inData(next, overlay);
        path.push(x, y);
        this.drawLasso(path);
      } else this.pan(next.clientX - last.clientX, next.clientY - last.clientY);
      last = next;
    };
    const end = () => {
      overlay.removeEventListener("pointermove", move);
      if (path) this.onLasso(path.length > 6 ? simplify(path, 1 / this.camera.scale) : null);
    };
    overlay.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) overlay.addEventListener(name, end, { once: true });
  }

  hover(event) {
    if (event.buttons || !this.camera) return;
    const { x, y } = this.inData(event);
    this.mark(nearest(this.points, x, y, NEAR / this.camera.scale));
  }

  // A ring around a point in all views, and its description.
  mark(i) {
    this.tip.hidden = i < 0;
    for (const { overlay } of this.panels) overlay.querySelector("circle")?.remove();
    if (i < 0) return;
    const [x, y] = this.inView(this.points.x[i], this.points.y[i]);
    for (const { overlay } of this.panels) overlay.append(svg("circle", { cx: x, cy: y, r: 6, class: "ring" }));
    this.tip.textContent = this.describe(i);
  }

  // Draw the points in colour that are 1 in `chosen`, and the polygon around them.
  choose(chosen, polygon) {
    Object.assign(this, { chosen, polygon });
    if (this.whole) this.drawSoon();
  }

  drawSoon() {
    this.waiting ??= requestAnimationFrame(() => { this.waiting = null; this.draw(); });
  }

  draw() {
    const { points, density, camera } = this;
    const scale = camera.scale * density;
    const place = { scale, left: (this.width * density) / 2 - camera.x * scale, top: (this.height * density) / 2 + camera.y * scale };
    const room = Math.sqrt((this.width * this.height) / Math.max(1, points.x.length));
    const diameter = points.width ? points.width * scale + 0.5 : density * Math.max(1, Math.min(8, 0.45 * room * Math.sqrt(Math.max(1, camera.zoom))));
    for (const { canvas, view } of this.panels) {
      paint(canvas, points, place, { ...view, pale: this.pale, chosen: this.chosen, diameter, isSquare: points.width > 0 });
    }
    this.drawLasso(this.polygon);
    this.drawNames();
  }

  drawLasso(path) {
    for (const { overlay } of this.panels) {
      overlay.querySelector("polygon")?.remove();
      if (!path) continue;
      const corners = [];
      for (let i = 0; i < path.length; i += 2) corners.push(this.inView(path[i], path[i + 1]).join(","));
      overlay.prepend(svg("polygon", { points: corners.join(" "), class: "lasso" }));
    }
  }

  // The names of groups where there is room, the first first.
  drawNames() {
    for (const { overlay, view } of this.panels) {
      for (const each of overlay.querySelectorAll("text")) each.remove();
      const taken = [];
      for (const { name, x, y } of view.names ?? []) {
        const [atX, atY] = this.inView(x, y);
        if (atX < 0 || atX > this.width || atY < 0 || atY > this.height) continue;
        const half = 3.8 * name.length;
        const px = Math.max(half, Math.min(this.width - half, atX));
        const py = Math.max(10, Math.min(this.height - 10, atY));
        const shift = [0, 15, -15, 30, -30].find((by) => !taken.some(([cx, cy, reach]) => Math.abs(px - cx) < half + reach && Math.abs(py + by - cy) < 14));
        if (shift === undefined) continue;
        taken.push([px, py + shift, half]);
        const text = svg("text", { x: px, y: py + shift });
        text.textContent = name;
        overlay.append(text);
      }
    }
  }
}

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function boxOf({ x, y }) {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < x.length; i++) {
    left = Math.min(left, x[i]); right = Math.max(right, x[i]);
    low = Math.min(low, y[i]); high = Math.max(high, y[i]);
  }
  const [dx, dy] = [right > left ? 0 : 1, high > low ? 0 : 1];
  return { left: left - dx, right: right + dx, low: low - dy, high: high + dy };
}
