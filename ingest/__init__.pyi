from .models import load_model
from .options import Compute, IngestOptions, Method, ReferenceCells, Source
from .pipeline import ingest_files
from .store.study import StudyReport

__all__ = [
    "Compute",
    "IngestOptions",
    "Method",
    "ReferenceCells",
    "Source",
    "StudyReport",
    "ingest_files",
    "load_model",
]
