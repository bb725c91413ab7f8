-- comments
-- Comments on the tables and columns of the schema sigdb_data. A column of a view takes the comment of the base column
-- with the same name, unless the header of the view describes the column.

COMMENT ON TABLE sigdb_data.atlas_info IS 'Facts about the file: schema version, versions that made the file, default run.';
COMMENT ON COLUMN sigdb_data.atlas_info.key IS 'Name of the fact.';
COMMENT ON COLUMN sigdb_data.atlas_info.value IS 'The fact, as text.';

COMMENT ON TABLE sigdb_data.models IS 'One row per foundation model with stored attributions.';
COMMENT ON COLUMN sigdb_data.models.model_id IS 'Number of the model.';
COMMENT ON COLUMN sigdb_data.models.model IS 'Name of the model.';
COMMENT ON COLUMN sigdb_data.models.architecture IS 'Name of the adapter that loaded the model; precomputed if only scores are known.';
COMMENT ON COLUMN sigdb_data.models.checkpoint_sha256 IS 'SHA-256 of the files that define the model; of its name and genes if only scores are known.';
COMMENT ON COLUMN sigdb_data.models.n_genes IS 'Number of input genes of the model.';
COMMENT ON COLUMN sigdb_data.models.latent_dim IS 'Dimensions of the embedding; 0 if unknown.';
COMMENT ON COLUMN sigdb_data.models.description IS 'Description of the model in one sentence.';

COMMENT ON TABLE sigdb_data.attribution_runs IS 'One row per run: a model, and the settings that its attributions were computed with.';
COMMENT ON COLUMN sigdb_data.attribution_runs.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attribution_runs.run IS 'Name of the attribution run.';
COMMENT ON COLUMN sigdb_data.attribution_runs.model_id IS 'Number of the model.';
COMMENT ON COLUMN sigdb_data.attribution_runs.method IS 'Attribution method.';
COMMENT ON COLUMN sigdb_data.attribution_runs.n_steps IS 'Points of the integration rule; NULL for a method without one.';
COMMENT ON COLUMN sigdb_data.attribution_runs.baseline IS 'The input that a cell is compared with.';
COMMENT ON COLUMN sigdb_data.attribution_runs.summation IS 'How the embedding is reduced to the single number that is explained.';
COMMENT ON COLUMN sigdb_data.attribution_runs.target_sum IS 'What the absolute scores of a cell add up to.';
COMMENT ON COLUMN sigdb_data.attribution_runs.device IS 'Device that computed the scores.';
COMMENT ON COLUMN sigdb_data.attribution_runs.versions IS 'Versions of the packages that computed the scores.';
COMMENT ON COLUMN sigdb_data.attribution_runs.started IS 'Start of the run, UTC.';
COMMENT ON COLUMN sigdb_data.attribution_runs.finished IS 'Time when the last study of the run was complete, UTC.';
COMMENT ON COLUMN sigdb_data.attribution_runs.is_signed IS 'Whether scores have signs; otherwise they are absolute values.';

COMMENT ON TABLE sigdb_data.studies IS 'One row per study.';
COMMENT ON COLUMN sigdb_data.studies.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.studies.study IS 'Name of the study.';
COMMENT ON COLUMN sigdb_data.studies.title IS 'Title of the study.';
COMMENT ON COLUMN sigdb_data.studies.organism IS 'Organism.';
COMMENT ON COLUMN sigdb_data.studies.source IS 'Source of the study.';
COMMENT ON COLUMN sigdb_data.studies.licence IS 'Licence of the data.';
COMMENT ON COLUMN sigdb_data.studies.counts_from IS 'The matrix in the input file that had the raw counts or scores.';

COMMENT ON TABLE sigdb_data.samples IS 'One row per sample, with the metadata that are constant within the sample.';
COMMENT ON COLUMN sigdb_data.samples.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.samples.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.samples.sample IS 'Name of the sample, within its study.';
COMMENT ON COLUMN sigdb_data.samples.donor IS 'Donor of the sample, within its study.';
COMMENT ON COLUMN sigdb_data.samples.tissue IS 'Tissue.';
COMMENT ON COLUMN sigdb_data.samples.disease IS 'Disease of the donor.';
COMMENT ON COLUMN sigdb_data.samples.assay IS 'Assay.';
COMMENT ON COLUMN sigdb_data.samples.sex IS 'Sex of the donor.';
COMMENT ON COLUMN sigdb_data.samples.development_stage IS 'Age or stage of the donor.';
COMMENT ON COLUMN sigdb_data.samples.in_vivo IS 'Whether the cells come directly from an organism.';

COMMENT ON TABLE sigdb_data.cell_data IS 'One row per cell, with the columns of sigdb and of the studies'' obs.';
COMMENT ON COLUMN sigdb_data.cell_data.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.cell_data.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.cell_data.barcode IS 'Name of the cell, within its study.';
COMMENT ON COLUMN sigdb_data.cell_data.cell_type IS 'Cell type, as named by the study.';
COMMENT ON COLUMN sigdb_data.cell_data.n_counts IS 'Total counts of the cell over all genes of the study''s file; NULL if unknown.';
COMMENT ON COLUMN sigdb_data.cell_data.n_genes IS 'Genes of the study''s file with counts in the cell; NULL if unknown.';

COMMENT ON TABLE sigdb_data.attributed_cells IS 'One row per run and cell with attributions.';
COMMENT ON COLUMN sigdb_data.attributed_cells.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attributed_cells.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.attributed_cells.attribution_scale IS 'Raw attribution divided by score; NULL if nothing was attributed to the cell: it has no counts of the model''s genes, or the gradient is 0.';
COMMENT ON COLUMN sigdb_data.attributed_cells.completeness_delta IS 'Sum of the raw attributions minus (f(cell) - f(baseline)). It is not the error of the attributions: errors of single genes cancel in the sum. NULL if the cell has no counts of the model''s genes, or if it is unknown.';
COMMENT ON COLUMN sigdb_data.attributed_cells.integration_error IS 'Estimated L1 error of Integrated Gradients, as a share of the cell''s summed |attribution|: half the difference between the attributions from the odd and from the even steps. NULL for other methods, for one step, and if nothing was attributed.';
COMMENT ON COLUMN sigdb_data.attributed_cells.n_expressed IS 'Genes of the model with counts in the cell; NULL if not recorded.';
COMMENT ON COLUMN sigdb_data.attributed_cells.n_read IS 'Expressed genes that the model read. A transformer reads a limited number of genes of a cell. NULL if not recorded.';

COMMENT ON TABLE sigdb_data.genes IS 'One row per gene that is an input of a model of this atlas.';
COMMENT ON COLUMN sigdb_data.genes.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.genes.symbol IS 'Symbol of the gene.';
COMMENT ON COLUMN sigdb_data.genes.ensembl_id IS 'Ensembl id of the gene, from HGNC.';

COMMENT ON TABLE sigdb_data.gene_names IS 'All names of the genes, and names of other genes that differ from them only in case.';
COMMENT ON COLUMN sigdb_data.gene_names.name IS 'A name of the gene.';
COMMENT ON COLUMN sigdb_data.gene_names.name_lower IS 'The name in lower case.';
COMMENT ON COLUMN sigdb_data.gene_names.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.gene_names.source IS 'What the name is: symbol, approved, previous, alias, ensembl; or other, for a name of a gene that the atlas lacks: it does not mean this gene.';
COMMENT ON COLUMN sigdb_data.gene_names.rank IS 'Rank of the name: names of lower rank are tried first.';
COMMENT ON COLUMN sigdb_data.gene_names.is_ambiguous IS 'Whether several genes have this name with equal right; it then matches no gene.';

COMMENT ON TABLE sigdb_data.model_genes IS 'One row per model and input gene.';
COMMENT ON COLUMN sigdb_data.model_genes.model_id IS 'Number of the model.';
COMMENT ON COLUMN sigdb_data.model_genes.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.model_genes.position IS 'Column of the gene in the input of the model, from 0.';

COMMENT ON TABLE sigdb_data.study_genes IS 'One row per study and measured gene.';
COMMENT ON COLUMN sigdb_data.study_genes.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.study_genes.gene_id IS 'Number of the gene.';

COMMENT ON TABLE sigdb_data.unread_genes IS 'One row per run, study and gene that some cells express and the model did not read in them.';
COMMENT ON COLUMN sigdb_data.unread_genes.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.unread_genes.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.unread_genes.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.unread_genes.n_cells IS 'Cells of the study that express the gene, in which the model did not read it.';

COMMENT ON TABLE sigdb_data.attributions IS 'One row per run, gene and cell with an attribution other than 0.';
COMMENT ON COLUMN sigdb_data.attributions.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attributions.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.attributions.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.attributions.score IS 'Attribution, with a sign if the run has signs. The absolute values of a cell add up to 1000.';

COMMENT ON TABLE sigdb_data.attribution_summary IS 'Sums of the attributions: one row per run, sample, cell type and gene.';
COMMENT ON COLUMN sigdb_data.attribution_summary.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.attribution_summary.cell_type IS 'Cell type, as named by the study.';
COMMENT ON COLUMN sigdb_data.attribution_summary.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.attribution_summary.n_nonzero IS 'Cells of the group in which the gene''s attribution is not 0.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sum_abs IS 'Sum of |attribution| over the cells of the group.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sum_signed IS 'Sum of the attributions over the cells of the group.';
COMMENT ON COLUMN sigdb_data.attribution_summary.sum_sq IS 'Sum of the squared attributions over the cells of the group.';

COMMENT ON TABLE sigdb_data.group_sizes IS 'Numbers of cells: one row per run, sample and cell type.';
COMMENT ON COLUMN sigdb_data.group_sizes.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.group_sizes.sample_id IS 'Number of the sample.';
COMMENT ON COLUMN sigdb_data.group_sizes.cell_type IS 'Cell type, as named by the study.';
COMMENT ON COLUMN sigdb_data.group_sizes.n_cells IS 'Cells of the group with attributions in the run.';

COMMENT ON TABLE sigdb_data.importance_groups IS 'The groups of cells that gene_importance reads sums of. A condition is a disease and a tissue.';
COMMENT ON COLUMN sigdb_data.importance_groups.group_id IS 'Number of the group.';
COMMENT ON COLUMN sigdb_data.importance_groups.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.importance_groups.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.importance_groups.cell_type IS 'Cell type, as named by the study.';
COMMENT ON COLUMN sigdb_data.importance_groups.disease IS 'Disease of the donor.';
COMMENT ON COLUMN sigdb_data.importance_groups.tissue IS 'Tissue.';
COMMENT ON COLUMN sigdb_data.importance_groups.all_types IS 'Whether the group is of all cell types. Then cell_type is NULL.';
COMMENT ON COLUMN sigdb_data.importance_groups.one_condition IS 'Whether the group is of one condition. Otherwise disease and tissue are NULL.';
COMMENT ON COLUMN sigdb_data.importance_groups.all_conditions IS 'Whether the group is of all conditions of the study, which may be one.';

COMMENT ON TABLE sigdb_data.importance_sums IS 'The cube added up over samples: one row per group of importance_groups and gene.';
COMMENT ON COLUMN sigdb_data.importance_sums.group_id IS 'Number of the group.';
COMMENT ON COLUMN sigdb_data.importance_sums.gene_id IS 'Number of the gene.';
COMMENT ON COLUMN sigdb_data.importance_sums.n_nonzero IS 'Cells of the group in which the gene''s attribution is not 0.';
COMMENT ON COLUMN sigdb_data.importance_sums.sum_abs IS 'Sum of |attribution| over the cells of the group.';
COMMENT ON COLUMN sigdb_data.importance_sums.sum_signed IS 'Sum of the attributions over the cells of the group.';

COMMENT ON TABLE sigdb_data.signature_info IS 'One row per signature of the library.';
COMMENT ON COLUMN sigdb_data.signature_info.signature IS 'Name of the signature.';
COMMENT ON COLUMN sigdb_data.signature_info.source IS 'Source of the signature, such as a file name.';
COMMENT ON COLUMN sigdb_data.signature_info.description IS 'Description of the signature by its source.';

COMMENT ON TABLE sigdb_data.signatures IS 'One row per signature and gene.';
COMMENT ON COLUMN sigdb_data.signatures.signature IS 'Name of the signature.';
COMMENT ON COLUMN sigdb_data.signatures.position IS 'Position of the gene in the signature, from 0.';
COMMENT ON COLUMN sigdb_data.signatures.gene IS 'Name of the gene in the source.';
COMMENT ON COLUMN sigdb_data.signatures.weight IS 'Weight of the gene; 1 if the source gives no weight.';

COMMENT ON TABLE sigdb_data.materialized_signatures IS 'One row per signature and run whose scores are kept in signature_cells.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.materialized_id IS 'Number of the kept scores.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.signature IS 'Name of the signature.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.gene_ids IS 'Ids of the genes of the scores.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.weights IS 'Weights of these genes.';
COMMENT ON COLUMN sigdb_data.materialized_signatures.total_weight IS 'Sum of the absolute weights.';

COMMENT ON TABLE sigdb_data.signature_cells IS 'One row per materialised signature and cell with attributions in its run.';
COMMENT ON COLUMN sigdb_data.signature_cells.materialized_id IS 'Number of the kept scores.';
COMMENT ON COLUMN sigdb_data.signature_cells.cell_id IS 'Number of the cell, from 0.';
COMMENT ON COLUMN sigdb_data.signature_cells.score IS 'Weighted mean of the absolute attributions of the genes.';

COMMENT ON TABLE sigdb_data.ingest_chunks IS 'The ledger: one row per chunk of cells that was written.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.run_id IS 'Number of the attribution run.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.study_id IS 'Number of the study.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.chunk IS 'Number of the chunk, within its study and run.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.first_row IS 'First row of the chunk in its file.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.n_cells IS 'Cells of the chunk.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.n_scores IS 'Attributions of the chunk.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.device IS 'Device that computed the scores.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.versions IS 'Versions of the packages that computed the scores.';
COMMENT ON COLUMN sigdb_data.ingest_chunks.written IS 'Time when the chunk was written, UTC.';
