// The question that a comparison starts with: one that has an answer, if the atlas holds one.
import { namesNone } from "./compare.js";
import { groupBy } from "./notes.js";

// The first of some columns, the first reference and the first way to compare for which one study has enough donors on both
// sides; without one, the first column. groups: the rows of explorer/frame.groups. none: the values that name nobody.
export function firstQuestion(groups, columns, least, none) {
  for (const by of columns) {
    for (const reference of referencesOf(groups, by)) {
      for (const within of by === "cell_type" ? ["none"] : ["cell_type", "none"]) {
        const pairs = pairsFor(groups, { by, reference, within, ...least }, none);
        if (pairs) return { by, reference, within, pairs, values: valuesOf(groups, by) };
      }
    }
  }
  const [by] = columns;
  return { by, reference: referencesOf(groups, by)[0], within: by === "cell_type" ? "none" : "cell_type", pairs: "none", values: valuesOf(groups, by) };
}

function valuesOf(groups, by) {
  return [...new Set(groups.map((row) => row[by]))].filter((value) => value !== null).sort();
}

// What is called normal comes first.
function referencesOf(groups, by) {
  const values = valuesOf(groups, by);
  const isNormal = (value) => /^normal/.test(value);
  return [...values.filter(isNormal), ...values.filter((value) => !isNormal(value))];
}

// Whether donors have to be paired for a test of one study with the reference: "none", "donor", or null if there is no test.
function pairsFor(groups, { by, reference, within, minCells, minUnits }, none) {
  const places = groupBy(groups, (row) => JSON.stringify([row.study, within === "none" ? null : row[within]]));
  const ways = [...places.values()].flatMap((rows) => {
    const sides = new Map([...groupBy(rows, (row) => row[by])].map(([value, side]) => [value, donorsOf(side, minCells, none)]));
    const others = sides.get(reference) ?? new Set();
    return [...sides].filter(([value]) => value !== null && value !== reference).map(([, donors]) => {
      const both = [...donors].filter((donor) => others.has(donor)).length;
      if (both >= minUnits) return "donor";
      return both === 0 && Math.min(donors.size, others.size) >= minUnits ? "none" : null;
    });
  });
  // A donor in both groups of any study makes a comparison without pairs an error.
  return ways.includes("donor") ? "donor" : ways.find(Boolean) ?? null;
}

function donorsOf(rows, minCells, none) {
  const donors = groupBy(rows.filter((row) => row.donor !== null && !namesNone("donor", row.donor, none)), (row) => row.donor);
  return new Set([...donors].filter(([, each]) => each.reduce((sum, row) => sum + row.n_cells, 0) >= minCells).map(([donor]) => donor));
}
