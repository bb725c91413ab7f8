// Signatures as people write them: `CD3E CD8A:2 -FOXP3`, a list with commas, a column, a table of genes and weights, or a
// line of a GMT file. `name = …` names one; `@NAME` is one of the library.

const WEIGHT = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

// {name, library, genes, weights}: weights is null if every gene weighs 1. Raises an error in words for what it cannot read.
export function parseSignature(text) {
  const trimmed = text.trim();
  if (trimmed.startsWith("@")) return { name: trimmed.slice(1), library: trimmed.slice(1), genes: [], weights: null };
  const [, name, body] = trimmed.match(/^([^=\n]*)=([\s\S]*)$/) ?? [null, null, trimmed];
  const gmt = !name && body.split("\n").length === 1 && body.split("\t").length > 3 && !/^[-+\d.]/.test(body.split("\t")[1]);
  const [title, members] = gmt ? [body.split("\t")[0], body.split("\t").slice(2).join("\n")] : [name, body];
  const weights = new Map();
  for (const line of members.split(/[\n;]/)) for (const [gene, weight] of membersOf(line)) add(weights, gene, weight);
  const genes = [...weights.keys()];
  const isWeighted = [...weights.values()].some((weight) => weight !== 1);
  return { name: title?.trim() || genes.slice(0, 3).map((gene) => written(gene, weights.get(gene))).join(", ") + (genes.length > 3 ? " …" : ""), library: null, genes, weights: isWeighted ? [...weights.values()] : null };
}

// A gene with its weight, as people write it.
export function written(gene, weight) {
  const size = Math.abs(weight) === 1 ? "" : `:${Math.abs(weight)}`;
  return `${weight < 0 ? "\u2212" : ""}${gene}${size}`;
}

function membersOf(line) {
  const words = line.split(/[\s,"“”]+/).filter(Boolean);
  // A line of a table: a gene and its weight.
  if (words.length === 2 && WEIGHT.test(words[1])) return [[words[0], Number(words[1])]];
  if (words.length === 2 && /^(gene|symbol)s?$/i.test(words[0]) && /^weights?$/i.test(words[1])) return [];
  return words.map(member);
}

// A gene with its weight: CD8A:2 weighs 2, -FOXP3 is a gene that should be low, and weighs -1.
function member(word) {
  const [, sign, rest] = word.match(/^([-+\u2212]?)(.*)$/s);
  const [, gene, given] = rest.match(/^(.*?)(?::([^:]*))?$/s);
  if (!gene) throw new Error(`${JSON.stringify(word)} is not a gene. Write genes as CD3E, CD8A:2 or -FOXP3.`);
  if (given !== undefined && !WEIGHT.test(given)) throw new Error(`${JSON.stringify(word)}: the weight ${JSON.stringify(given)} is not a number. Write CD8A:2.`);
  const weight = given === undefined ? 1 : Number(given);
  return [gene, sign === "-" || sign === "\u2212" ? -weight : weight];
}

function add(weights, gene, weight) {
  if (weights.has(gene) && weights.get(gene) !== weight) {
    throw new Error(`${gene} has two weights, ${weights.get(gene)} and ${weight}. Write it once.`);
  }
  weights.set(gene, weight);
}
