// Polygons: which points are inside, as a function of the page and as a condition of SQL. Both compute the same, so that
// the cells in a lasso are those of its statement. A polygon is a list [x, y, x, y, …] of numbers.
import { literal } from "./literals.js";

// Edges that are not horizontal: from (x, y) to the height `top`, with the slope dx / dy.
function edgesOf(polygon) {
  const edges = [];
  for (let i = 0; i < polygon.length; i += 2) {
    const [x, y] = [polygon[i], polygon[i + 1]];
    const next = (i + 2) % polygon.length;
    const [nextX, nextY] = [polygon[next], polygon[next + 1]];
    if (y < nextY) edges.push({ x, y, top: nextY, slope: (nextX - x) / (nextY - y) });
    if (nextY < y) edges.push({ x: nextX, y: nextY, top: y, slope: (x - nextX) / (y - nextY) });
  }
  return edges;
}

// A function that says whether a point is inside: an odd number of edges is to the right of it.
export function insideOf(polygon) {
  const edges = edgesOf(polygon);
  return (x, y) => {
    let isInside = false;
    for (const edge of edges) {
      if (edge.y <= y && y < edge.top && x < edge.x + edge.slope * (y - edge.y)) isInside = !isInside;
    }
    return isInside;
  };
}

// The places of the points inside, of columns x and y.
export function pointsInside(polygon, x, y) {
  const isInside = insideOf(polygon);
  const found = [];
  for (let i = 0; i < x.length; i++) if (isInside(x[i], y[i])) found.push(i);
  return found;
}

// The condition of SQL that the point of the columns x and y is inside. As in the page, their values have 32 bits.
export function insideSQL(polygon, x, y) {
  const edges = edgesOf(polygon);
  if (!edges.length) return "FALSE";
  const [px, py] = [x, y].map((column) => `${column}::FLOAT::DOUBLE`);
  const crossings = edges.map(
    (edge) => `(${py} >= ${double(edge.y)} AND ${py} < ${double(edge.top)} AND ${px} < ${double(edge.x)} + ${double(edge.slope)} * (${py} - ${double(edge.y)}))::INTEGER`,
  );
  const box = [[px, polygon.filter((_, i) => i % 2 === 0)], [py, polygon.filter((_, i) => i % 2 === 1)]].map(
    ([value, all]) => `${value} BETWEEN ${double(Math.min(...all))} AND ${double(Math.max(...all))}`,
  );
  return `(${box.join(" AND ")}\n  AND (${crossings.join("\n    + ")}) % 2 = 1)`;
}

// Whole numbers would make DuckDB compute with integers and decimals.
function double(value) {
  return `${literal(value)}::DOUBLE`;
}

// A path of the pointer with at most `most` corners: those that change it most (Douglas and Peucker).
export function simplify(path, tolerance, most = 80) {
  const kept = keepCorners(path, tolerance);
  return kept.length > 2 * most ? simplify(path, 1.5 * tolerance, most) : kept;
}

function keepCorners(path, tolerance) {
  const n = path.length / 2;
  if (n < 3) return [...path];
  const isKept = new Uint8Array(n);
  isKept[0] = isKept[n - 1] = 1;
  const parts = [[0, n - 1]];
  while (parts.length) {
    const [first, last] = parts.pop();
    const [farthest, distance] = farthestOf(path, first, last);
    if (distance <= tolerance) continue;
    isKept[farthest] = 1;
    parts.push([first, farthest], [farthest, last]);
  }
  return path.filter((_, i) => isKept[i >> 1]);
}

// The point between two others that is farthest from the straight way between them, and its distance.
function farthestOf(path, first, last) {
  const [x, y] = [path[2 * first], path[2 * first + 1]];
  const [dx, dy] = [path[2 * last] - x, path[2 * last + 1] - y];
  const square = dx * dx + dy * dy;
  let found = [first, 0];
  for (let i = first + 1; i < last; i++) {
    const [px, py] = [path[2 * i] - x, path[2 * i + 1] - y];
    const part = square > 0 ? Math.max(0, Math.min(1, (px * dx + py * dy) / square)) : 0;
    const distance = Math.hypot(px - part * dx, py - part * dy);
    if (distance > found[1]) found = [i, distance];
  }
  return found;
}

// A polygon as a short text of the address: its numbers keep a precision of 1 in 5,000 of the extent.
export function writePolygon(polygon, extent) {
  const digits = Math.max(0, Math.min(12, Math.ceil(-Math.log10(extent / 5000))));
  return polygon.map((value) => Number(value.toFixed(digits))).join(",");
}

// The polygon of a text, or null if the text is none.
export function readPolygon(text) {
  const found = (text ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  return found.length >= 6 && found.length % 2 === 0 && found.every(Number.isFinite) ? found : null;
}
