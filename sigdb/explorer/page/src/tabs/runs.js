// How the scores were made: each run with its model and method, and the provenance of the run that is read.
export default {
  id: "runs",
  title: "Runs",
  ignoresFilters: true,
  async render(root, app) {
    await app.show(root, { title: "Attribution runs", statement: "cli/atlas.runs" });
    await app.show(root, { title: "Provenance of the run", statement: "findings/provenance" });
    await app.show(root, { title: "Contents of the atlas", statement: "cli/atlas.overview" });
  },
};
