"""A lake: the tables of an atlas as Parquet files in a folder or an object store."""
