"""Read raw counts, by cells, from AnnData and Cell Ranger files."""
