// Elements without HTML text: what comes from an atlas can only ever be text.

// h("button", {class: "x", onclick: f}, "Run", child, …). Properties that are null or false are left out.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Fade the edge of an element behind which more can be scrolled to.
export function cueScroll(element) {
  const mark = () => {
    const hidden = element.scrollWidth - element.clientWidth;
    element.classList.toggle("more-left", element.scrollLeft > 1);
    element.classList.toggle("more-right", element.scrollLeft < hidden - 1);
  };
  element.addEventListener("scroll", mark, { passive: true });
  const observer = new ResizeObserver(mark);
  for (const each of [element, ...element.children]) observer.observe(each);
  return element;
}

let last = 0;

// An id for a label.
export function newId(name) {
  last += 1;
  return `${name}-${last}`;
}

export function save(name, content, type) {
  const link = h("a", { href: URL.createObjectURL(new Blob([content], { type })), download: fileName(name) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fileName(name) {
  return name.replaceAll("\u2212", "minus-").replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "").toLowerCase();
}

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const WHOLE = new Intl.NumberFormat("en");

// A value as text for people.
export function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "bigint" || Number.isInteger(value)) return WHOLE.format(value).replace("-", "\u2212");
  if (typeof value === "number") {
    const isSmall = value !== 0 && Math.abs(value) < 1e-4;
    return (isSmall ? value.toExponential(2) : NUMBER.format(value)).replace("-", "\u2212");
  }
  return exact(value);
}

// A value as text that a machine reads again.
export function exact(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "object") return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each));
  return String(value);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not allowed, as on a page without HTTPS: by a selection, as of old.
    const area = h("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
