// The command of `sigdb` for a comparison of the page. It computes more: one model of all studies, and a meta-analysis.

// What the command does without an option.
const DEFAULTS = { by: "disease", reference: "normal", of: "z", unit: "donor", within: "cell_type", pairedBy: null, minCells: 10, minUnits: 3 };
const OPTIONS = { by: "--by", reference: "--reference", of: "--of", unit: "--unit", within: "--within", pairedBy: "--paired-by", minCells: "--min-cells", minUnits: "--min-units" };

// The command, or null: it takes no weights of genes. signature: {library, genes, weights, missing}. cells: an SQL condition, or null.
export function compareCommand(atlas, signature, design, { cells = null, run = null } = {}) {
  if (signature.weights && !signature.library) return null;
  const names = signature.library ? [signature.library] : signature.genes;
  const given = Object.keys(OPTIONS).filter((name) => design[name] !== DEFAULTS[name]).flatMap((name) => [OPTIONS[name], String(design[name] ?? "")]);
  return [
    "sigdb", "compare", ...given,
    ...(names.length === 1 && !signature.library ? ["--as-genes"] : []),
    ...(signature.missing.length ? ["--missing", "ignore"] : []),
    ...(cells ? ["--cells", cells] : []),
    ...(run ? ["--run", run] : []),
    "--", atlas, ...names,
  ].map(shellWord).join(" ");
}

// A word of a POSIX shell.
function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
