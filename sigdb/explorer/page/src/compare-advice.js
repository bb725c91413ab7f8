// What helps if no study has enough units: a smaller size of a unit. `advise_min_cells` of sigdb/findings/lost_units.py.
import { clusterOf } from "./compare.js";
import { groupBy } from "./notes.js";

// {n, text}: the largest size that leaves enough units for a test, in words; n is 0 if there is none. Null if no unit was too
// small. small: the units that were left out for their size.
export function adviseMinCells(units, small, design) {
  if (!small.length) return null;
  const fewest = Math.max(design.minUnits, 2);
  const places = [...groupBy([...units, ...small], (unit) => JSON.stringify([unit.within, unit.study])).values()];
  const choices = places.flatMap((place) => choicesOf(place, design.reference, fewest));
  const best = choices.reduce((one, other) => (other.n > one.n ? other : one), { n: 0 });
  const many = `${fewest} ${design.unit}s${design.unit === "sample" ? " of different donors" : ""}`;
  if (!best.n) {
    const where = design.within ? `one ${design.within.replaceAll("_", " ")} of a study` : "a study";
    return { n: 0, text: `No size of a unit leaves ${many} in both groups of ${where}, as a test needs.` };
  }
  const { within, study } = best.place[0];
  const where = within === null ? study : `${within} of ${study}`;
  return { n: best.n, text: `With ${best.n} cells of a unit, at least ${many} of '${best.group}' and of '${design.reference}' are left in ${where}.` };
}

// For each other group of a place, the size that enough donors reach in it and in the reference.
function choicesOf(place, reference, fewest) {
  const groups = groupBy(place, (unit) => unit.group);
  if (!groups.has(reference)) return [];
  const reached = new Map([...groups].map(([group, units]) => [group, nthLargest(largestOfDonors(units), fewest)]));
  return [...groups.keys()].filter((group) => group !== reference).sort()
    .map((group) => ({ place, group, n: Math.min(reached.get(group), reached.get(reference)) }));
}

function largestOfDonors(units) {
  const donors = groupBy(units, (unit) => JSON.stringify(unit.donors.length ? unit.donors : clusterOf(unit)));
  return [...donors.values()].map((each) => Math.max(...each.map((unit) => unit.n_cells)));
}

function nthLargest(sizes, n) {
  return sizes.sort((one, other) => other - one)[n - 1] ?? 0;
}
