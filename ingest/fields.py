"""The fields of a cell that the atlas knows by name; all other columns of obs are kept under their own."""

__all__ = ["FIELDS", "SAMPLE_FIELDS"]

# What is constant within a sample: the columns of sigdb_data.samples.
SAMPLE_FIELDS = ("sample", "donor", "tissue", "disease", "assay", "sex", "development_stage", "in_vivo")
FIELDS = (*SAMPLE_FIELDS, "cell_type")
