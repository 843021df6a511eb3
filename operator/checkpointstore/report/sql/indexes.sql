-- The largest indexes, and how often each is used.
SELECT s.schemaname AS schema, s.relname AS table, s.indexrelname AS index,
       pg_size_pretty(pg_relation_size(s.indexrelid)) AS size, s.idx_scan AS scans, s.last_idx_scan,
       i.indisunique AS unique, i.indisvalid AS valid
FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid)
ORDER BY pg_relation_size(s.indexrelid) DESC LIMIT 100
