-- Every parameter that is not PostgreSQL's default, and those that wait for a restart. Connection strings are left out.
SELECT name, setting, unit, source, pending_restart FROM pg_settings
WHERE (source NOT IN ('default', 'override', 'client') OR pending_restart) AND name !~ 'conninfo|passphrase' ORDER BY name
