"""The explorer: an atlas in a browser, by DuckDB in the page or by a server."""
