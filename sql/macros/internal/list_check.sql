-- list_check(genes, signatures) -> TABLE (_error)
-- Internal: one row with NULL, or an error if a name was given where a list of names belongs. Used like signature_check.
-- Units:   none.
-- Example: SELECT _error IS NULL FROM sigdb_data.list_check(['CD3E'], NULL);  --> true

CREATE OR REPLACE MACRO sigdb_data.list_check(genes, signatures) AS TABLE
SELECT CASE
    WHEN typeof(genes) = 'VARCHAR'
        THEN error('The genes must be a list, not the text ''' || genes::VARCHAR || '''. For a gene, write [''' || genes::VARCHAR
            || ''']; for a signature of the library, signature_genes(''' || genes::VARCHAR || ''').')
    WHEN typeof(signatures) = 'VARCHAR'
        THEN error('The signatures must be a list, not the text ''' || signatures::VARCHAR || '''. Write ['''
            || signatures::VARCHAR || '''].')
END AS _error;
