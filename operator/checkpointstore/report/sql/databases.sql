-- Databases: size, connections, rollbacks, deadlocks, spilled files, broken checksums.
SELECT datname AS database, pg_size_pretty(pg_database_size(datid)) AS size, numbackends AS connections,
       xact_commit AS commits, xact_rollback AS rollbacks, deadlocks, temp_files, pg_size_pretty(temp_bytes) AS temp,
       checksum_failures, age(d.datfrozenxid) AS xid_age, stats_reset
FROM pg_stat_database JOIN pg_database d USING (datname) ORDER BY datname
