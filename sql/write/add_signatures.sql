-- add_signatures: put the signatures of sigdb_incoming and sigdb_incoming_members into the library, in place of any of
-- the same names. (An update in place, since deleting and inserting one primary key in one transaction is refused.)
INSERT INTO sigdb_data.signature_info (signature, source, description)
SELECT i.signature, i.source, i.description FROM sigdb_incoming AS i
ON CONFLICT (signature) DO UPDATE SET source = excluded.source, description = excluded.description;

DELETE FROM sigdb_data.signatures WHERE signature IN (SELECT i.signature FROM sigdb_incoming AS i);

INSERT INTO sigdb_data.signatures (signature, position, gene, weight)
SELECT i.signature, i.position, i.gene, i.weight FROM sigdb_incoming_members AS i;
