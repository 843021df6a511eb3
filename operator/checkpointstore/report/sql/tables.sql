-- The largest tables: size with and without indexes and TOAST, dead rows, and when autovacuum was there last.
SELECT schemaname AS schema, relname AS table, pg_size_pretty(pg_total_relation_size(relid)) AS total,
       pg_size_pretty(pg_relation_size(relid)) AS heap, pg_size_pretty(pg_indexes_size(relid)) AS indexes,
       n_live_tup AS live, n_dead_tup AS dead, seq_scan, idx_scan, last_autovacuum, last_autoanalyze
FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC LIMIT 50
