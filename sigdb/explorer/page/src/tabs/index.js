// The tabs, in their order. Each has an id, a title, and render(root, app, signal). needsSignature: it is about a signature.
// ignoresFilters: its answers are not about the cells of the filters.
import atlas from "./atlas.js";
import cells from "./cells.js";
import compare from "./compare.js";
import distributions from "./distributions.js";
import gene from "./gene.js";
import hits from "./hits.js";
import leading from "./leading.js";
import nullTab from "./null.js";
import runs from "./runs.js";
import scores from "./scores.js";
import sql from "./sql.js";
import top from "./top.js";

export default [atlas, scores, cells, distributions, hits, compare, leading, nullTab, gene, top, sql, runs];
