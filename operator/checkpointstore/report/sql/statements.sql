-- Where the time goes: the 20 statements with the most time in all. pg_stat_statements has put $1 for constants;
-- statements about passwords are left out, as it leaves those in.
SELECT calls, round(total_exec_time) AS total_ms, round(mean_exec_time::numeric, 2) AS mean_ms,
       round(max_exec_time) AS max_ms, rows, shared_blks_read AS blocks_read, temp_blks_written AS temp_written,
       pg_get_userbyid(userid) AS role, regexp_replace(left(query, 1000), '\s+', ' ', 'g') AS query
FROM public.pg_stat_statements WHERE query !~* '\mpassword\M' ORDER BY total_exec_time DESC LIMIT 20
