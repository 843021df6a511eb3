-- Who does what at this moment; the statement as pg_stat_statements knows it, without its parameters.
SELECT a.pid, a.usename AS role, a.application_name AS application, a.client_addr AS client, a.backend_type AS kind,
       a.state, a.wait_event_type AS wait, a.wait_event AS event, pg_blocking_pids(a.pid) AS blocked_by,
       date_trunc('seconds', now() - a.backend_start) AS connected, date_trunc('seconds', now() - a.xact_start) AS transaction,
       date_trunc('seconds', now() - a.query_start) AS query_for,
       coalesce((SELECT regexp_replace(left(s.query, 200), '\s+', ' ', 'g') FROM public.pg_stat_statements s
                 WHERE s.queryid = a.query_id AND s.query !~* '\mpassword\M' LIMIT 1),
                upper(substring(a.query FROM '^\s*(\w+)')) || ' ...') AS query
FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() ORDER BY a.xact_start NULLS LAST, a.pid
