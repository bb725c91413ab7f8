// The tabs, in their order. Each has an id, a title, and render(root, app, signal).
import atlas from "./atlas.js";
import runs from "./runs.js";
import scores from "./scores.js";
import sql from "./sql.js";

export default [atlas, scores, sql, runs];
