-- comments
-- What each table and column of the schema sigdb_data holds. The columns of views take over the comment of the column
-- they show, by name; the header of a view describes those that are its own.

COMMENT ON TABLE sigdb_data.atlas_info IS 'What this file is: schema version, versions that made it, default run.';
COMMENT ON COLUMN sigdb_data.atlas_info.key IS 'What is said.';
COMMENT ON COLUMN sigdb_data.atlas_info.value IS 'As text.';

COMMENT ON TABLE sigdb_data.models IS 'One row a foundation model whose attributions are stored.';
COMMENT ON COLUMN sigdb_data.models.model_id IS 'Number of the model.';
COMMENT ON COLUMN sigdb_data.models.model IS 'Name of the model.';
COMMENT ON COLUMN sigdb_data.models.architecture IS 'The adapter that loaded it; precomputed, if scores alone are known.';
COMMENT ON COLUMN sigdb_data.models.checkpoint_sha256 IS 'SHA-256 of the files that define the model; of name and genes, if scores alone are known.';
COMMENT ON COLUMN sigdb_data.models.n_genes IS 'Genes that the model takes.';
COMMENT ON COLUMN sigdb_data.models.latent_dim IS 'Dimensions of the embedding; 0 if not known.';
COMMENT ON COLUMN sigdb_data.models.description IS 'In a sentence.';

COMMENT ON TABLE sigdb_data.attribution_runs IS 'One row a run: a model and the settings that its attributions were made with.';
COMMENT ON COLUMN sigdb_data.attribution_runs.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attribution_runs.run IS 'Name of the attribution run.';
COMMENT ON COLUMN sigdb_data.attribution_runs.model_id IS 'Number of the model.';
COMMENT ON COLUMN sigdb_data.attribution_runs.method IS 'Attribution method.';
COMMENT ON COLUMN sigdb_data.attribution_runs.n_steps IS 'Points of the integration rule; NULL for a method without.';
COMMENT ON COLUMN sigdb_data.attribution_runs.baseline IS 'What a cell is compared with.';
COMMENT ON COLUMN sigdb_data.attribution_runs.summation IS 'How the embedding becomes the one number that is explained.';
COMMENT ON COLUMN sigdb_data.attribution_runs.target_sum IS 'To what the absolute scores of a cell sum up.';
COMMENT ON COLUMN sigdb_data.attribution_runs.device IS 'What computed it.';
COMMENT ON COLUMN sigdb_data.attribution_runs.versions IS 'Versions of the packages that computed it.';
COMMENT ON COLUMN sigdb_data.attribution_runs.started IS 'When the run began, UTC.';
COMMENT ON COLUMN sigdb_data.attribution_runs.finished IS 'When its last study was complete, UTC.';
COMMENT ON COLUMN sigdb_data.attribution_runs.is_signed IS 'Whether scores have signs; if not, they are absolute values.';

COMMENT ON TABLE sigdb_data.studies IS 'One row a study.';
COMMENT ON COLUMN sigdb_data.studies.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.studies.study IS 'Name of the study.';
COMMENT ON COLUMN sigdb_data.studies.title IS 'Title of the study.';
COMMENT ON COLUMN sigdb_data.studies.organism IS 'Organism.';
COMMENT ON COLUMN sigdb_data.studies.source IS 'Where it comes from.';
COMMENT ON COLUMN sigdb_data.studies.licence IS 'Licence of the data.';
COMMENT ON COLUMN sigdb_data.studies.counts_from IS 'The matrix of the file that held the raw counts, or the scores.';

COMMENT ON TABLE sigdb_data.samples IS 'One row a sample, with what is constant within it.';
COMMENT ON COLUMN sigdb_data.samples.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.samples.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.samples.sample IS 'Name of the sample, within its study.';
COMMENT ON COLUMN sigdb_data.samples.donor IS 'Whom the sample was taken from, within its study.';
COMMENT ON COLUMN sigdb_data.samples.tissue IS 'Tissue.';
COMMENT ON COLUMN sigdb_data.samples.disease IS 'Disease of the donor.';
COMMENT ON COLUMN sigdb_data.samples.assay IS 'Assay.';
COMMENT ON COLUMN sigdb_data.samples.sex IS 'Sex of the donor.';
COMMENT ON COLUMN sigdb_data.samples.development_stage IS 'Age or stage of the donor.';
COMMENT ON COLUMN sigdb_data.samples.in_vivo IS 'Whether the cells come straight from an organism.';

COMMENT ON TABLE sigdb_data.cell_data IS 'One row a cell, with its own columns and those of the studies'' obs.';
COMMENT ON COLUMN sigdb_data.cell_data.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.cell_data.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.cell_data.barcode IS 'Name of the cell, within its study.';
COMMENT ON COLUMN sigdb_data.cell_data.cell_type IS 'Cell type, as the study has it.';
COMMENT ON COLUMN sigdb_data.cell_data.n_counts IS 'Counts of the cell in all genes of the study''s file; NULL if not known.';
COMMENT ON COLUMN sigdb_data.cell_data.n_genes IS 'Genes of the study''s file with a count in the cell; NULL if not known.';

COMMENT ON TABLE sigdb_data.attributed_cells IS 'One row a run and cell that it has attributed.';
COMMENT ON COLUMN sigdb_data.attributed_cells.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attributed_cells.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.attributed_cells.attribution_scale IS 'Raw attribution / score; NULL where nothing was attributed.';
COMMENT ON COLUMN sigdb_data.attributed_cells.completeness_delta IS 'Sum of the raw attributions - (f(cell) - f(baseline)); NULL if not known.';

COMMENT ON TABLE sigdb_data.genes IS 'One row a gene that a model of this atlas can attribute.';
COMMENT ON COLUMN sigdb_data.genes.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.genes.symbol IS 'Symbol of the gene.';
COMMENT ON COLUMN sigdb_data.genes.ensembl_id IS 'Ensembl id of the gene, from HGNC.';

COMMENT ON TABLE sigdb_data.gene_names IS 'All names by which a gene can be asked for.';
COMMENT ON COLUMN sigdb_data.gene_names.name IS 'A name of the gene.';
COMMENT ON COLUMN sigdb_data.gene_names.name_lower IS 'The name in lower case.';
COMMENT ON COLUMN sigdb_data.gene_names.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.gene_names.source IS 'What the name is: symbol, approved, previous, alias, ensembl.';
COMMENT ON COLUMN sigdb_data.gene_names.rank IS 'The order in which names are tried, 0 first.';
COMMENT ON COLUMN sigdb_data.gene_names.is_ambiguous IS 'Whether several genes bear the name equally; it then means none.';

COMMENT ON TABLE sigdb_data.model_genes IS 'One row a model and gene that it takes.';
COMMENT ON COLUMN sigdb_data.model_genes.model_id IS 'Number of the model.';
COMMENT ON COLUMN sigdb_data.model_genes.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.model_genes.position IS 'Column of the gene in the input of the model, from 0.';

COMMENT ON TABLE sigdb_data.study_genes IS 'One row a study and gene that it measured.';
COMMENT ON COLUMN sigdb_data.study_genes.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.study_genes.gene_id IS 'Number of the gene.';

COMMENT ON TABLE sigdb_data.attributions IS 'One row a run, gene and cell whose attribution is not 0.';
COMMENT ON COLUMN sigdb_data.attributions.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attributions.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.attributions.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.attributions.score IS 'Attribution, signed if the run is; the absolute ones of a cell sum up to 1000.';

COMMENT ON TABLE sigdb_data.attribution_summary IS 'Sums of the attributions: one row a run, sample, cell type and gene.';
COMMENT ON COLUMN sigdb_data.attribution_summary.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.attribution_summary.cell_type IS 'Cell type, as the study has it.';
COMMENT ON COLUMN sigdb_data.attribution_summary.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.attribution_summary.n_nonzero IS 'Cells of the group in which the gene''s attribution is not 0.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sum_abs IS 'Sum of |attribution| over the cells of the group.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sum_signed IS 'Sum of the attributions over the cells of the group.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sum_sq IS 'Sum of the squared attributions over the cells of the group.';

COMMENT ON TABLE sigdb_data.group_sizes IS 'One row a run, sample and cell type.';
COMMENT ON COLUMN sigdb_data.group_sizes.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.group_sizes.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.group_sizes.cell_type IS 'Cell type, as the study has it.';
COMMENT ON COLUMN sigdb_data.group_sizes.n_cells IS 'Cells of the group that the run has attributed.';

COMMENT ON TABLE sigdb_data.signature_info IS 'One row a signature of the library.';
COMMENT ON COLUMN sigdb_data.signature_info.signature IS 'Name of the signature.';
COMMENT ON COLUMN sigdb_data.signature_info.source IS 'The file it was read from.';
COMMENT ON COLUMN sigdb_data.signature_info.description IS 'What its source says of it.';

COMMENT ON TABLE sigdb_data.signatures IS 'One row a signature and gene.';
COMMENT ON COLUMN sigdb_data.signatures.signature IS 'Name of the signature.';
COMMENT ON COLUMN sigdb_data.signatures.position IS 'Place of the gene in the signature, from 0.';
COMMENT ON COLUMN sigdb_data.signatures.gene IS 'The gene as the source names it.';
COMMENT ON COLUMN sigdb_data.signatures.weight IS 'Weight of the gene; 1 where the source gives none.';

COMMENT ON TABLE sigdb_data.materialized_signatures IS 'One row a signature and run whose scores are kept in signature_cells.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.materialized_id IS 'Number of the kept scores.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.signature IS 'Name of the signature.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.gene_ids IS 'The genes that the scores are made of.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.weights IS 'The weights of these genes.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.total_weight IS 'Sum of the absolute weights.';

COMMENT ON TABLE sigdb_data.signature_cells IS 'One row a materialised signature and cell that its run has attributed.';
COMMENT ON COLUMN sigdb_data.signature_cells.materialized_id IS 'Number of the kept scores.';
COMMENT ON COLUMN sigdb_data.signature_cells.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.signature_cells.score IS 'Weighted mean of the |attributions| of the genes.';

COMMENT ON TABLE sigdb_data.ingest_chunks IS 'The ledger: one row a chunk of cells that was written.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.chunk IS 'Number of the chunk, within its study and run.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.first_row IS 'The row of its file with which the chunk begins.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.n_cells IS 'Cells of the chunk.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.n_scores IS 'Attributions of the chunk.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.device IS 'What computed it.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.versions IS 'Versions of the packages that computed it.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.written IS 'When it was written, UTC.';
