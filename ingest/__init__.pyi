from .check.check import ModelCheck, check_model
from .models import load_model
from .options import Compute, IngestOptions, Method, ReferenceCells, Source
from .pipeline import ingest_files

__all__ = [
    "Compute",
    "IngestOptions",
    "Method",
    "ModelCheck",
    "ReferenceCells",
    "Source",
    "check_model",
    "ingest_files",
    "load_model",
]
