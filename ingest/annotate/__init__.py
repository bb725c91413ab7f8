"""Change or add the metadata of cells that an atlas has, without attributing them again. Needs no torch."""

from ingest.annotate.annotate import AnnotateReport, annotate_cells, drop_columns
from ingest.annotate.read import AnnotateOptions

__all__ = ["AnnotateOptions", "AnnotateReport", "annotate_cells", "drop_columns"]
