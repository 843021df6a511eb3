-- Whether WAL reaches the archive, and how much of it lies on the volume.
SELECT archived_count, last_archived_time, failed_count, last_failed_wal, last_failed_time,
       (SELECT pg_size_pretty(sum(size)) FROM pg_ls_waldir()) AS wal
FROM pg_stat_archiver
