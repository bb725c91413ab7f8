// Tests of two groups of units: `sigdb.findings.statistics` in JavaScript. A test gives the same numbers.
import jStat from "jstat";

const SIDE = 0.975; // of a 95 % interval
const FEWEST_FOR_G = 3;
// Parts of the range over which the noncentral t distribution is integrated.
const PARTS = 400;

// Welch's t test of independent units.
export function independent(group, reference) {
  const [one, other] = [jStat.variance(group, true), jStat.variance(reference, true)];
  const parts = [one / group.length, other / reference.length];
  const error = varies([...group]) || varies([...reference]) ? Math.sqrt(parts[0] + parts[1]) : NaN;
  const free = error ** 4 / (parts[0] ** 2 / (group.length - 1) + parts[1] ** 2 / (reference.length - 1));
  const spread = one ** 2 / (group.length - 1) + other ** 2 / (reference.length - 1);
  return describe(group, reference, error, free, Math.sqrt((one + other) / 2), (one + other) ** 2 / spread);
}

// Student's t test of the differences of pairs.
export function paired(group, reference) {
  const differences = group.map((value, n) => value - reference[n]);
  const error = varies(differences) ? Math.sqrt(jStat.variance(differences, true) / group.length) : NaN;
  const deviation = Math.sqrt((jStat.variance(group, true) + jStat.variance(reference, true)) / 2);
  const r = 1 - jStat.variance(differences, true) / (2 * deviation ** 2);
  return describe(group, reference, error, group.length - 1, deviation, (2 * (group.length - 1)) / (1 + r ** 2));
}

function varies(values) {
  return Math.max(...values) > Math.min(...values);
}

// The difference with its test, and Hedges' g with the interval of the noncentral t. What cannot be computed is null.
function describe(group, reference, error, free, deviation, deviationFree) {
  const [mean_group, mean_reference] = [jStat.mean(group), jStat.mean(reference)];
  const difference = mean_group - mean_reference;
  const [t, width] = [difference / error, error > 0 ? jStat.studentt.inv(SIDE, free) * error : NaN];
  const hasG = error > 0 && Math.min(group.length, reference.length) >= FEWEST_FOR_G;
  const g = hasG ? (1 - 3 / (4 * deviationFree - 1)) * (difference / deviation) : NaN;
  const unit = error / deviation;
  const numbers = {
    mean_group,
    mean_reference,
    difference,
    difference_se: error,
    difference_low: difference - width,
    difference_high: difference + width,
    hedges_g: g,
    g_se: Math.sqrt(unit ** 2 + g ** 2 / (2 * deviationFree)),
    g_low: hasG ? noncentrality(t, free, SIDE) * unit : NaN,
    g_high: hasG ? noncentrality(t, free, 1 - SIDE) * unit : NaN,
    p_value: error > 0 ? jStat.ibeta(free / (free + t ** 2), free / 2, 0.5) : NaN,
  };
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number.isFinite(value) ? value : null]));
}

// The noncentrality at which a noncentral t is below t with this probability.
function noncentrality(t, free, probability) {
  const shares = chiShares(free);
  const below = (nc) => shares.reduce((sum, [s, share]) => sum + share * jStat.normal.cdf(t * s - nc, 0, 1), 0);
  let reach = 5;
  while (below(t - reach) < probability || below(t + reach) > probability) reach *= 2;
  let [low, high] = [t - reach, t + reach];
  for (let n = 0; n < 60; n += 1) {
    const middle = (low + high) / 2;
    if (below(middle) > probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// The distribution of s, the root of chi squared over its degrees of freedom, as values with shares: Simpson's rule in
// the fourth root of s, in which the density is smooth at 0.
function chiShares(free) {
  const [low, high] = [1e-14, 1 - 1e-14].map((part) => (jStat.chisquare.inv(part, free) / free) ** (1 / 8));
  const step = (high - low) / PARTS;
  const log = Math.log(8) + (free / 2) * Math.log(free / 2) - jStat.gammaln(free / 2);
  return Array.from({ length: PARTS + 1 }, (_, n) => {
    const x = low + n * step;
    const density = Math.exp(log + (4 * free - 1) * Math.log(x) - (free * x ** 8) / 2);
    return [x ** 4, ((n === 0 || n === PARTS ? 1 : n % 2 ? 4 : 2) * step * density) / 3];
  });
}

// p values adjusted by Benjamini and Hochberg over all that are numbers; null stays null.
export function adjust(pValues) {
  const places = pValues.flatMap((p, place) => (p === null ? [] : [place])).sort((one, other) => pValues[other] - pValues[one]);
  const adjusted = pValues.map(() => null);
  let least = 1;
  places.forEach((place, n) => {
    least = Math.min(least, (pValues[place] * places.length) / (places.length - n));
    adjusted[place] = least;
  });
  return adjusted;
}
