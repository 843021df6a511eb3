-- The standbys as this server sees them.
SELECT application_name AS standby, client_addr, state, sync_state, sent_lsn, replay_lsn,
       pg_wal_lsn_diff(sent_lsn, replay_lsn) AS behind_bytes, write_lag, flush_lag, replay_lag, reply_time
FROM pg_stat_replication ORDER BY application_name
