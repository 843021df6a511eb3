-- What the exporter tells of threads, indexes and statements. The monitoring role may not read checkpoints, so sizes and ages
-- are told by functions of the tables' owner, and no thread's id leaves them. What they read is bounded, however much there is.
-- A thread's rows: all of them, or as many as `most` a table, which then stand for as many as the statistics say there are.
-- Values in TOAST are not fetched to learn their size. NULLs where the deadline is over.
-- name: metrics
CREATE SCHEMA IF NOT EXISTS checkpointstore;
CREATE OR REPLACE FUNCTION checkpointstore.thread(
    id text, most integer, deadline timestamptz,
    OUT checkpoints double precision, OUT bytes double precision, OUT newest text)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
  AS $thread$
  DECLARE
    -- A row's header and its pointer.
    row constant integer := 28;
    part record;
    times double precision;
  BEGIN
    IF clock_timestamp() > deadline THEN
      RETURN;
    END IF;
    bytes := 0;
    FOR part IN
      SELECT 'checkpoints' AS name, count(*) AS found, coalesce(sum(size), 0) AS size, max(last) AS last
        FROM (SELECT checkpoint_id AS last, row + pg_column_size(thread_id) + pg_column_size(checkpoint_ns)
                     + pg_column_size(checkpoint_id) + coalesce(pg_column_size(parent_checkpoint_id), 0)
                     + coalesce(pg_column_size(type), 0) + pg_column_size(checkpoint) + pg_column_size(metadata) AS size
                FROM public.checkpoints WHERE thread_id = id LIMIT most) AS rows
      UNION ALL
      SELECT 'checkpoint_blobs', count(*), coalesce(sum(size), 0), NULL
        FROM (SELECT row + pg_column_size(thread_id) + pg_column_size(checkpoint_ns) + pg_column_size(channel)
                     + pg_column_size(version) + pg_column_size(type) + coalesce(pg_column_size(blob), 0) AS size
                FROM public.checkpoint_blobs WHERE thread_id = id LIMIT most) AS rows
      UNION ALL
      SELECT 'checkpoint_writes', count(*), coalesce(sum(size), 0), NULL
        FROM (SELECT row + pg_column_size(thread_id) + pg_column_size(checkpoint_ns) + pg_column_size(checkpoint_id)
                     + pg_column_size(task_id) + pg_column_size(idx) + pg_column_size(channel)
                     + coalesce(pg_column_size(type), 0) + pg_column_size(blob) + pg_column_size(task_path) AS size
                FROM public.checkpoint_writes WHERE thread_id = id LIMIT most) AS rows
    LOOP
      times := 1;
      IF part.found = most THEN
        SELECT greatest(1, max(c.reltuples * common.share) / most) INTO times
          FROM pg_stats AS s, pg_class AS c,
               unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS common (value, share)
         WHERE s.schemaname = 'public' AND s.tablename = part.name AND s.attname = 'thread_id'
           AND c.oid = ('public.' || part.name)::regclass AND common.value = id;
      END IF;
      bytes := bytes + part.size * times;
      IF part.name = 'checkpoints' THEN
        checkpoints := part.found * times;
        newest := part.last;
        IF part.found = most THEN
          SELECT greatest(newest, max(c.checkpoint_id)) INTO newest
            FROM public.checkpoints AS c WHERE c.thread_id = id AND c.checkpoint_ns = '';
        END IF;
      END IF;
    END LOOP;
  END
  $thread$;
-- All threads, from those that are met on pages chosen at random, and of these from 300 drawn by lot, with as many lots each as
-- checkpoints were met. The long ones are too many among them, so each counts by how unlikely it was to be there; where all
-- pages were read and all threads drawn, each counts once and nothing is estimated. The largest may have been missed all the
-- same, so those that the statistics say have most rows are looked at too.
CREATE OR REPLACE FUNCTION checkpointstore.threads() RETURNS TABLE (
    count double precision, active_hour double precision, active_day double precision, active_week double precision,
    active_month double precision, bytes_p50 double precision, bytes_p99 double precision, bytes_max double precision,
    sampled double precision)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
  -- By index, whatever the statistics say of the thread: these are the plans whose cost does not grow with the table.
  SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off
  AS $threads$
  DECLARE
    most_pages constant integer := 500;
    most_threads constant integer := 300;
    most_rows constant integer := 5000;
    deadline constant timestamptz := clock_timestamp() + interval '500 ms';
    pages bigint;
    chosen bigint[];
    largest double precision;
  BEGIN
    IF pg_is_in_recovery() OR to_regclass('public.checkpoints') IS NULL OR to_regclass('public.checkpoint_blobs') IS NULL
       OR to_regclass('public.checkpoint_writes') IS NULL THEN
      RETURN;
    END IF;
    pages := pg_relation_size('public.checkpoints') / current_setting('block_size')::bigint;
    SELECT array_agg(DISTINCT CASE WHEN pages > most_pages THEN floor(random() * pages)::bigint ELSE number END)
      INTO chosen FROM generate_series(0, least(pages, most_pages) - 1) AS number;
    SELECT max(t.bytes) INTO largest
      FROM (SELECT DISTINCT common.value
              FROM pg_stats AS s CROSS JOIN LATERAL (
                   SELECT m.value FROM unnest(s.most_common_vals::text::text[], s.most_common_freqs) AS m (value, share)
                    ORDER BY m.share DESC LIMIT 2) AS common
             WHERE s.schemaname = 'public' AND s.attname = 'thread_id'
               AND s.tablename IN ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')) AS frequent
     CROSS JOIN LATERAL checkpointstore.thread(frequent.value, most_rows, deadline) AS t;
    RETURN QUERY
    WITH met AS MATERIALIZED (
      SELECT r.thread_id, count(*) AS times
        FROM unnest(chosen) AS page CROSS JOIN LATERAL (
             SELECT c.thread_id FROM public.checkpoints AS c
              WHERE c.ctid >= format('(%s,0)', page)::tid AND c.ctid < format('(%s,0)', page + 1)::tid OFFSET 0) AS r
       GROUP BY r.thread_id
    ), drawn AS MATERIALIZED (
      SELECT met.thread_id, met.times, -ln(1 - random()) / met.times AS lot FROM met ORDER BY lot LIMIT most_threads + 1
    ), measured AS MATERIALIZED (
      SELECT t.bytes, d.times, d.times / greatest(t.checkpoints, d.times) AS weight,
             -- The lowest lot that was not reached says how likely it was to be.
             min(d.lot) FILTER (WHERE t.bytes IS NULL) OVER () AS reached,
             -- A UUID of version 6: tenths of microseconds since 1582.
             CASE WHEN t.newest ~ '^[0-9a-f]{8}-[0-9a-f]{4}-6[0-9a-f]{3}-' THEN extract(epoch FROM now()) + 12219292800
                  - ('x' || substr(t.newest, 1, 8) || substr(t.newest, 10, 4) || substr(t.newest, 16, 3))::bit(60)::bigint
                    / 1e7 END AS idle
        FROM (SELECT *, row_number() OVER (ORDER BY lot) AS number FROM drawn) AS d CROSS JOIN LATERAL
             checkpointstore.thread(d.thread_id, most_rows,
                                    CASE WHEN d.number <= most_threads THEN deadline ELSE '-infinity' END) AS t
    ), weighed AS (
      SELECT m.bytes, m.idle,
             m.weight / coalesce(1 - exp(-m.times * m.reached), 1) * pages / cardinality(chosen) AS stands_for
        FROM measured AS m WHERE m.bytes IS NOT NULL
    ), ranked AS (
      SELECT w.*, sum(w.stands_for) OVER (ORDER BY w.bytes) / sum(w.stands_for) OVER () AS share FROM weighed AS w
    )
    SELECT coalesce(sum(r.stands_for), 0),
           coalesce(sum(r.stands_for) FILTER (WHERE r.idle < 3600), 0),
           coalesce(sum(r.stands_for) FILTER (WHERE r.idle < 86400), 0),
           coalesce(sum(r.stands_for) FILTER (WHERE r.idle < 604800), 0),
           coalesce(sum(r.stands_for) FILTER (WHERE r.idle < 2592000), 0),
           coalesce(min(r.bytes) FILTER (WHERE r.share >= 0.5), 0),
           coalesce(min(r.bytes) FILTER (WHERE r.share >= 0.99), 0),
           coalesce(greatest(max(r.bytes), largest), 0),
           count(*)::double precision
      FROM ranked AS r
    HAVING count(*) > 0 OR NOT EXISTS (SELECT FROM met);
  END
  $threads$;
-- How much of an index would be free if it were built anew. Of unique ones only, as others keep equal keys together; and of
-- more than a MiB.
CREATE OR REPLACE FUNCTION checkpointstore.index_bloat() RETURNS TABLE (
    relname text, indexrelname text, ratio double precision)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
  AS $bloat$
  WITH entry AS (
    SELECT x.indexrelid AS index, ceil((8 + sum(s.avg_width)) / 8.0) * 8 + 4 AS bytes
      FROM pg_index AS x CROSS JOIN LATERAL unnest(x.indkey) AS key
      JOIN pg_class AS t ON t.oid = x.indrelid
      JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = key
      JOIN pg_stats AS s ON s.schemaname = 'public' AND s.tablename = t.relname AND s.attname = a.attname
     WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace AND NOT pg_is_in_recovery()
       AND t.relname IN ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')
     GROUP BY x.indexrelid, x.indnatts HAVING count(*) = x.indnatts
  ), index AS (
    -- 40 bytes of a page are not for entries, and a tenth is left free when it is built.
    SELECT x.indrelid, i.relname, pg_relation_size(i.oid) AS bytes,
           i.reltuples * entry.bytes * page / (page - 40) / 0.9 AS needed
      FROM entry JOIN pg_index AS x ON x.indexrelid = entry.index JOIN pg_class AS i ON i.oid = entry.index
     CROSS JOIN (SELECT current_setting('block_size')::double precision AS page) AS size
     WHERE i.reltuples >= 0
  )
  SELECT t.relname::text, index.relname::text, greatest(0, 1 - index.needed / index.bytes)
    FROM index JOIN pg_class AS t ON t.oid = index.indrelid WHERE index.bytes > 1048576
  $bloat$;
-- The five statements about checkpoints that took longest in all, and the five that take longest each, by what they are for; not of
-- the tables' owner, as which our own Jobs work.
-- A saver's reads differ only in LIMIT: the parameter of list() is numbered before the constants of the statement, get's after.
CREATE OR REPLACE FUNCTION checkpointstore.statement_times() RETURNS TABLE (
    queryid text, kind text, calls_total double precision, seconds_total double precision,
    square_seconds_total double precision, mean_seconds double precision)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
  AS $statements$
  BEGIN
    IF to_regclass('public.pg_stat_statements') IS NULL THEN
      RETURN;
    END IF;
    RETURN QUERY
    WITH told AS (
      SELECT s.queryid, min(s.query) AS query, sum(s.calls)::double precision AS calls, sum(s.total_exec_time) / 1000 AS seconds,
             sum(s.calls * (s.stddev_exec_time ^ 2 + s.mean_exec_time ^ 2)) / 1e6 AS squares
        FROM public.pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
       WHERE d.datname = current_database() AND s.calls > 0 AND s.userid <> :'owner'::regrole
         AND s.query ~* '^\s*(with|select|insert|update|delete)\M.*\mcheckpoint(s|_blobs|_writes)\M'
       GROUP BY s.queryid
    ), ranked AS (
      SELECT t.*, row_number() OVER (ORDER BY t.seconds DESC) AS by_total,
             row_number() OVER (ORDER BY t.seconds / t.calls DESC) AS by_mean
        FROM told AS t
    )
    SELECT r.queryid::text,
           CASE
             WHEN r.query ~* '^\s*insert into (public\.)?checkpoint_writes\M' THEN 'put_writes'
             WHEN r.query ~* '^\s*insert into (public\.)?checkpoint(s|_blobs)\M' THEN 'put'
             WHEN r.query ~* '\mdelete from (public\.)?checkpoint(s|_blobs|_writes)\M' THEN 'delete'
             WHEN r.query !~* '\mas pending_writes\s+from (public\.)?checkpoints\M' THEN 'other'
             WHEN r.query ~* '\mcheckpoint_id = \$\d+\s*$' THEN 'get'
             WHEN substring(r.query FROM '(?i)\mlimit \$(\d+)\s*$')::integer > substring(r.query FROM '-> \$(\d+)')::integer
               THEN 'get'
             ELSE 'list' END,
           r.calls, r.seconds, r.squares, r.seconds / r.calls
      FROM ranked AS r WHERE r.by_total <= 5 OR r.by_mean <= 5;
  END
  $statements$;
ALTER FUNCTION checkpointstore.thread(text, integer, timestamptz) OWNER TO :"owner";
ALTER FUNCTION checkpointstore.threads() OWNER TO :"owner";
ALTER FUNCTION checkpointstore.index_bloat() OWNER TO :"owner";
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA checkpointstore FROM PUBLIC;
GRANT USAGE ON SCHEMA checkpointstore TO :"owner", :"monitoring";
GRANT EXECUTE ON FUNCTION checkpointstore.threads(), checkpointstore.index_bloat(), checkpointstore.statement_times() TO :"monitoring";
COMMENT ON FUNCTION checkpointstore.threads() IS :'mark'
