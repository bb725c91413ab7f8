from .annotate import AnnotateOptions, AnnotateReport, annotate_cells, drop_columns
from .check.check import ModelCheck, check_model
from .models import load_model
from .options import Compute, IngestOptions, Method, ReferenceCells, Source
from .pipeline import ingest_files
from .preview import StudyPreview, preview_study

__all__ = [
    "AnnotateOptions",
    "AnnotateReport",
    "Compute",
    "IngestOptions",
    "Method",
    "ModelCheck",
    "ReferenceCells",
    "Source",
    "StudyPreview",
    "annotate_cells",
    "check_model",
    "drop_columns",
    "ingest_files",
    "load_model",
    "preview_study",
]
