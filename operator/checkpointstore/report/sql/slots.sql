-- Replication slots: one that is not active keeps WAL on the volume.
SELECT slot_name, slot_type, active, wal_status, restart_lsn, safe_wal_size, inactive_since, invalidation_reason
FROM pg_replication_slots ORDER BY slot_name
