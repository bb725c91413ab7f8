-- sizes: of the files at $places, which are not read.
SELECT b.filename, b.size FROM read_blob($places) AS b;
