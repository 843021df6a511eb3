-- Where this server receives from, when it is a standby; the last two columns say how far it has come.
SELECT r.status, r.sender_host, r.slot_name, r.received_tli, r.last_msg_receipt_time, r.latest_end_lsn,
       pg_last_wal_receive_lsn() AS received, pg_last_wal_replay_lsn() AS replayed
FROM (SELECT 1) AS one LEFT JOIN pg_stat_wal_receiver r ON true
