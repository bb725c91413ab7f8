"use strict";

// Each chart is drawn by itself: if one fails, its place says so, and the others are drawn.
async function draw(source) {
  const place = document.getElementById(source.dataset.chart);
  const options = {
    ast: true, // the policy of the page forbids eval
    renderer: source.textContent.length > 1e6 ? "canvas" : "svg", // SVG is sharp in print, and slow with many marks
    actions: { export: true, source: false, compiled: false, editor: false },
  };
  try {
    await vegaEmbed(place, JSON.parse(source.textContent), options);
  } catch (error) {
    place.className = "failed";
    place.textContent = `This chart could not be drawn: ${error.message}. The tables have its numbers.`;
  }
}

function valueOf(cell) {
  return cell.dataset.value ?? cell.textContent;
}

// Sort by a column, and in the other direction the next time. What is empty, or not a number among numbers, stays last.
function sortBy(header) {
  const table = header.closest("table");
  const body = table.tBodies[0];
  const isNumber = header.classList.contains("number");
  const first = isNumber ? "descending" : "ascending";
  const order = header.ariaSort !== first ? first : first === "ascending" ? "descending" : "ascending";
  for (const each of header.parentElement.cells) each.ariaSort = "none";
  header.ariaSort = order;
  const sign = order === "ascending" ? 1 : -1;
  const compare = isNumber ? (a, b) => a - b : new Intl.Collator("en", { numeric: true }).compare;
  const isLast = (value) => value === "" || (isNumber && Number.isNaN(Number(value)));
  const keyed = [...body.rows].map((row) => [valueOf(row.cells[header.cellIndex]), row]);
  keyed.sort(([a], [b]) => isLast(a) - isLast(b) || (isLast(a) ? 0 : sign * compare(a, b)));
  body.append(...keyed.map(([, row]) => row));
  limitRows(table);
}

function limitRows(table) {
  [...table.tBodies[0].rows].forEach((row, number) => { row.hidden = number >= Number(table.dataset.rows); });
}

// All rows with exact numbers. A spreadsheet would compute a text that begins with one of these signs: ' prevents that.
function asCSV(table) {
  const field = (cell) => {
    const text = valueOf(cell);
    const safe = cell.dataset.value === undefined && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [...table.rows].map((row) => `${[...row.cells].map(field).join(",")}\r\n`).join("");
}

function download(table) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([asCSV(table)], { type: "text/csv" }));
  link.download = `${document.title} ${table.caption.textContent}.csv`.replace(/[^\w.-]+/g, "-").toLowerCase();
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const header of document.querySelectorAll("thead th")) header.firstChild.addEventListener("click", () => sortBy(header));
for (const details of document.querySelectorAll("details:has(table)")) {
  const table = details.querySelector("table");
  details.querySelector(".download").addEventListener("click", () => download(table));
  details.querySelector(".all")?.addEventListener("click", (event) => {
    table.dataset.rows = Infinity;
    limitRows(table);
    event.target.remove();
  });
}
document.querySelectorAll("script[data-chart]").forEach(draw);
