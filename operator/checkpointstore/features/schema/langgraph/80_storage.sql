-- pglz took 174 ms to store 5 MB where lz4 took 51. Only values written from now on are affected; no table is rewritten.
-- name: compress
ALTER TABLE public.:"table" ALTER COLUMN :"column" SET COMPRESSION lz4

-- A subgraph's namespace is of one thread only. Counted by themselves, threads and namespaces look as if nearly no value were
-- of both, and reading all that are as cheap as looking one up.
-- name: namespaces
ALTER TABLE public.checkpoint_blobs ALTER COLUMN checkpoint_ns SET (n_distinct = 1);
ANALYZE public.checkpoint_blobs

-- Savers look a checkpoint's few values up by what jsonb_each_text makes of their versions. PostgreSQL expects a hundred of it,
-- and rather reads all values of the thread: fine for one of thirty, 24 times slower for one of 5,000 among these.
-- name: expect
ALTER FUNCTION pg_catalog.jsonb_each_text(jsonb) ROWS 1

-- Rows come by insert, hardly change, and go by whole threads. The server's default, a fifth of the table, would leave
-- gigabytes of dead values in TOAST (which takes these settings over) and the newest rows' pages never marked all-visible.
-- name: vacuum
ALTER TABLE public.:"table" SET (
    autovacuum_vacuum_scale_factor = :'autovacuum_vacuum_scale_factor',
    autovacuum_vacuum_insert_scale_factor = :'autovacuum_vacuum_insert_scale_factor',
    autovacuum_analyze_scale_factor = :'autovacuum_analyze_scale_factor'
)
