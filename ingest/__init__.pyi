from .models import load_model
from .options import Compute, IngestOptions, Method, ReferenceCells, Source
from .pipeline import ingest_files

__all__ = [
    "Compute",
    "IngestOptions",
    "Method",
    "ReferenceCells",
    "Source",
    "ingest_files",
    "load_model",
]
