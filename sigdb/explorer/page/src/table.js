// A sortable table of an answer, and its CSV.
import { exact, h, shown } from "./dom.js";

// Rows that are in the page at first.
const ROWS = 100;
// A single row of more columns than this is a list of names and values.
const WIDE = 6;
// A text of more characters than this may be cut.
const LONG = 30;

export function table({ columns, rows }, caption) {
  if (rows.length === 1 && columns.length > WIDE) return list(columns, rows[0], caption);
  let order = null;
  let limit = ROWS;
  const body = h("tbody");
  const more = h("button", { type: "button", class: "quiet", onclick: () => { limit *= 10; fillBody(); } });

  function fillBody() {
    const sorted = order ? sortRows(rows, order) : rows;
    body.replaceChildren(
      ...sorted.slice(0, limit).map((row) =>
        h("tr", {}, columns.map((column) =>
          h("td", { class: column.isNumber ? "number" : "text", title: titleOf(row, column) }, shown(row[column.name])))),
      ),
    );
    more.hidden = rows.length <= limit;
    more.textContent = `Show more of the ${rows.length.toLocaleString("en")} rows`;
  }

  function header({ name, isNumber }) {
    const cell = h("th", { scope: "col", "aria-sort": "none", class: isNumber && "number" });
    cell.append(h("button", {
      type: "button",
      onclick() {
        const first = isNumber ? "descending" : "ascending";
        const direction = cell.ariaSort !== first ? first : first === "ascending" ? "descending" : "ascending";
        for (const each of cell.parentElement.cells) each.ariaSort = "none";
        cell.ariaSort = direction;
        order = { name, isNumber, direction };
        fillBody();
      },
    }, name));
    return cell;
  }

  fillBody();
  const element = h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, columns.map(header))), body);
  return h("div", { class: "table" }, h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, element), more);
}

function list(columns, row, caption) {
  return h("div", { class: "wide" }, h("table", {}, h("caption", {}, caption), h("tbody", {}, columns.map((column) =>
    h("tr", {}, h("th", { scope: "row" }, column.name), h("td", { title: titleOf(row, column) }, shown(row[column.name])))))));
}

// The exact number where the table rounds it, and the whole text where the table may cut it.
function titleOf(row, { name, isNumber }) {
  const text = exact(row[name]);
  return (isNumber ? shown(row[name]) !== text : text.length > LONG || text.includes("\n")) && text;
}

const TEXTS = new Intl.Collator("en", { numeric: true });

// What is missing stays last in both directions.
function sortRows(rows, { name, isNumber, direction }) {
  const sign = direction === "ascending" ? 1 : -1;
  const isLast = (value) => value === null || Number.isNaN(value);
  const compare = isNumber ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : (a, b) => TEXTS.compare(exact(a), exact(b));
  return [...rows].sort((one, other) => {
    const [a, b] = [one[name], other[name]];
    return isLast(a) - isLast(b) || (isLast(a) ? 0 : sign * compare(a, b));
  });
}

// All rows with exact values. A spreadsheet would compute a text that begins with one of these signs: ' prevents that.
export function toCSV({ columns, rows }) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const field = (value) => {
    const text = exact(value);
    return quoted(typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  };
  const lines = [columns.map(({ name }) => field(name)), ...rows.map((row) => columns.map(({ name }) => field(row[name])))];
  return lines.map((line) => `${line.join(",")}\r\n`).join("");
}
