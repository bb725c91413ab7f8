// The lasso of the tab of cells, as a filter of the tabs that read single cells.
import { identifier, literal } from "./literals.js";
import { insideSQL, readPolygon } from "./polygon.js";

// The address without a lasso.
export const NO_LASSO = { lasso: undefined, special: undefined };

// Where cells lie: {embeddings, basis, place, studies, study}. `place` has the columns of the positions, as words of statements.
// studies: those that have positions, after the filters; study: the one of the address, or the largest. basis is null if the
// atlas has no embedding.
export async function findPlaces(app, signal) {
  const embeddings = (await app.askStatement("findings/columns.embeddings", {}, {}, { signal })).rows.map((row) => row.embedding);
  if (!embeddings.length) return { embeddings, basis: null, studies: [] };
  const basis = embeddings.includes(app.state.basis) ? app.state.basis : embeddings[0];
  const place = { x_column: identifier(`${basis}_1`), y_column: identifier(`${basis}_2`), is_chosen: app.condition("c.") ?? "TRUE" };
  const studies = (await app.askStatement("explorer/cells.studies", {}, place, { signal })).rows;
  return { embeddings, basis, place, studies, study: studies.find((each) => each.study === app.state.embedded) ?? studies[0] };
}

// The lasso of the address: {study, polygon, condition(prefix), n_cells}, or null. n_cells: the cells in it that the filters keep.
// A lasso is that of one study, since each study has an embedding of its own.
export async function findLasso(app, signal) {
  const polygon = readPolygon(app.state.lasso);
  if (!polygon) return null;
  const { basis, place, study: shown } = await findPlaces(app, signal);
  const study = app.state.embedded ?? shown?.study;
  if (!basis || study === undefined) return null;
  const { x_column: x, y_column: y } = place;
  const condition = (prefix = "") => `${prefix}study = ${literal(study)} AND ${insideSQL(polygon, prefix + x, prefix + y)}`;
  const chosen = { ...place, is_chosen: `${place.is_chosen} AND ${condition("c.")}` };
  const { rows } = await app.askStatement("explorer/cells.studies", {}, chosen, { signal });
  return { study, polygon, condition, n_cells: rows[0]?.n_cells ?? 0 };
}
