from .attribution.methods import Method
from .models import load_model
from .pipeline import IngestOptions, Source, ingest_files

__all__ = ["IngestOptions", "Method", "Source", "ingest_files", "load_model"]
