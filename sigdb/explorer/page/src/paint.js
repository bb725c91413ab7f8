// Points as pixels: a million in some 10 ms, with no library and no GPU (see decision 15).

// 16 of the 256 colours of the scheme viridis, from low to high.
const VIRIDIS = "440154481a6c472f7d41448739568c31688e2a788e23888e1f988b22a88435b77954c5687ad151a5db36d2e21bfde725";
export const LEVELS = 256;

// The colours of a score from low to high: dark means high, as in all charts; on a dark page, bright does.
export function scoreColours(isDark) {
  const stops = VIRIDIS.match(/.{6}/g).map(channels);
  if (!isDark) stops.reverse();
  return Array.from({ length: LEVELS }, (_, level) => {
    const place = (level / (LEVELS - 1)) * (stops.length - 1);
    const i = Math.min(Math.floor(place), stops.length - 2);
    const mixed = stops[i].map((value, c) => Math.round(value + (place - i) * (stops[i + 1][c] - value)));
    return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  });
}

function channels(hex) {
  return hex.match(/../g).map((part) => parseInt(part, 16));
}

// Colours as the words of 32 bits that a canvas holds.
export function words(colours) {
  const bytes = new Uint8Array(colours.flatMap((colour) => [...channels(colour.slice(1)), 255]));
  return new Uint32Array(bytes.buffer);
}

// The lowest score, and the score that a percentage of the cells do not exceed; the highest if these are equal. Scores ascend.
export function colourEnds(scores, n, percentile) {
  if (!scores.length) return [0, 1];
  const all = n.reduce((sum, each) => sum + each, 0);
  let below = 0;
  const at = n.findIndex((each) => (below += each) * 100 >= percentile * all);
  const high = scores[at] > scores[0] ? scores[at] : scores[scores.length - 1];
  return [scores[0], high];
}

// The level of each score between two ends, of LEVELS.
export function levelsOf(scores, [low, high]) {
  const factor = high > low ? (LEVELS - 1) / (high - low) : 0;
  return Uint16Array.from(scores, (score) => Math.max(0, Math.min(LEVELS - 1, Math.round((score - low) * factor))));
}

// The offsets of the pixels of a disc in rows of a width.
function disc(diameter, width) {
  const [middle, reach] = [(diameter - 1) / 2, diameter ** 2 / 4];
  const offsets = [];
  for (let dy = 0; dy < diameter; dy++) {
    for (let dx = 0; dx < diameter; dx++) {
      if ((dx - middle) ** 2 + (dy - middle) ** 2 <= reach) offsets.push(dy * width + dx);
    }
  }
  return offsets;
}

// Draw points into a canvas, the last on top. place: {scale, left, top}, from data to pixels. keys: the place of each point
// in colours. chosen: 1 for the points that are drawn in colour, above the others; null for all.
export function paint(canvas, { x, y }, { scale, left, top }, { keys, colours, pale, chosen, diameter, isSquare }) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const size = Math.max(1, Math.round(diameter));
  const offsets = isSquare ? Array.from({ length: size * size }, (_, i) => Math.floor(i / size) * width + (i % size)) : disc(size, width);
  const [shiftX, shiftY] = [left - size / 2 + 0.5, top - size / 2 + 0.5];
  const [lastX, lastY] = [width - size, height - size];

  // `| 0` rounds towards 0, so the first row and column stay empty.
  function pass(isChosen) {
    const n = offsets.length;
    for (let i = 0; i < x.length; i++) {
      if (chosen !== null && chosen[i] !== isChosen) continue;
      const px = (x[i] * scale + shiftX) | 0;
      const py = (shiftY - y[i] * scale) | 0;
      if (px <= 0 || py <= 0 || px > lastX || py > lastY) continue;
      const at = py * width + px;
      const colour = isChosen ? colours[keys[i]] : pale;
      if (n === 1) pixels[at] = colour;
      else for (let k = 0; k < n; k++) pixels[at + offsets[k]] = colour;
    }
  }
  if (chosen) pass(0);
  pass(1);
  context.putImageData(image, 0, 0);
}

// The place of the point nearest to a position, within a distance; -1 if there is none.
export function nearest({ x, y }, atX, atY, distance) {
  let [found, best] = [-1, distance ** 2];
  for (let i = x.length - 1; i >= 0; i--) {
    const far = (x[i] - atX) ** 2 + (y[i] - atY) ** 2;
    if (far < best) [found, best] = [i, far];
  }
  return found;
}
