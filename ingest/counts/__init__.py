"""Read raw counts, cell by cell, from AnnData and Cell Ranger files."""
