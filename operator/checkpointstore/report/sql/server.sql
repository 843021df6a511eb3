-- Who the server is: version, role, timeline, and how long it has been up.
SELECT version(), pg_is_in_recovery() AS standby, (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
       pg_postmaster_start_time() AS started, pg_conf_load_time() AS configured, now() AS now
