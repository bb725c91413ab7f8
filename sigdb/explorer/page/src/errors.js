// Errors that a reader sees.

// An answer that did not come. kind: what went wrong, as the server names it.
export class AskError extends Error {
  constructor(kind, message) {
    super(message);
    this.name = "AskError";
    this.kind = kind;
  }
}

export function isAbort(error) {
  return error?.name === "AbortError";
}

// The whole message for a reader. The macros of an atlas raise errors in plain words, which DuckDB gives a heading.
export function explain(error) {
  const text = String(error?.message ?? error).trim();
  const known = text.replace(/^(Error: )?(Invalid Input Error|Constraint Error): /, "");
  if (/out of memory|memory access out of bounds|could not allocate/i.test(text)) {
    return `There is not enough memory in the browser for this question. Ask about fewer cells, or run \`sigdb explore\`. (${text})`;
  }
  return known;
}
