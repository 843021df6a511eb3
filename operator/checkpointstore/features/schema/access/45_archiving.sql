-- What the exporter tells of archiving. The monitoring role may not read files, and why archiving fails, and WAL that was
-- dropped because too much of it waited, are told in pgBackRest's log and in a note beside it only; so this reads the end of
-- that log, and the note, as the superuser, and tells times and one word.
-- It also has a server whose checkpointer began after its settings were read last read them again: a checkpointer does not
-- heed archive_timeout in recovery, and would first do so after it at its first checkpoint, minutes later.
-- name: archiving
CREATE SCHEMA IF NOT EXISTS checkpointstore;
CREATE OR REPLACE FUNCTION checkpointstore.archiving(
    OUT waiting bigint, OUT waiting_seconds double precision, OUT failing integer, OUT rate double precision,
    OUT dropped_timestamp_seconds double precision, OUT cause text)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $archiving$
  DECLARE
    log constant text := '/var/lib/postgresql/data/main-archive-push-async.log';
    size constant bigint := coalesce((pg_stat_file(log, true)).size, 0);
    note constant text := '/var/lib/postgresql/data/dropped-wal';
    dropped constant text COLLATE "C" := coalesce(trim(E'\n' FROM pg_read_file(note, 0, 64, true)), '');
    said text := '';
    stat pg_stat_archiver;
    written double precision;
    since text;
  BEGIN
    IF NOT pg_is_in_recovery() THEN
      PERFORM pg_reload_conf() FROM pg_stat_activity
        WHERE backend_type = 'checkpointer' AND backend_start > pg_conf_load_time();
    END IF;
    SELECT count(*), coalesce(extract(epoch FROM now() - min(modification)), 0)
      INTO waiting, waiting_seconds FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready';
    SELECT * INTO stat FROM pg_stat_archiver;
    dropped_timestamp_seconds := coalesce(extract(epoch FROM (pg_stat_file(note, true)).modification), 0);
    failing := (waiting > 0 AND stat.last_failed_time IS NOT NULL
                AND stat.last_failed_time > coalesce(stat.last_archived_time, '-infinity'))::integer;
    -- PostgreSQL takes what was dropped for archived. Where nobody writes any more, nothing will show that archiving works.
    IF stat.last_archived_wal <= dropped AND (waiting > 0 OR extract(epoch FROM now()) - dropped_timestamp_seconds < 60) THEN
      failing := 1;
    END IF;
    rate := 0;
    IF NOT pg_is_in_recovery() AND stat.last_archived_wal ~ '^[0-9A-F]{24}' AND stat.last_archived_time < now() THEN
      written := pg_current_wal_lsn() - (substr(stat.last_archived_wal, 9, 8) || '/'
                 || substr(stat.last_archived_wal, 23, 2) || '000000')::pg_lsn;
      rate := greatest(0, written - 16777216) / extract(epoch FROM now() - stat.last_archived_time);
    END IF;
    IF size > 0 THEN
      said := convert_from(pg_read_binary_file(log, greatest(0, size - 65536), 65536, true), 'SQL_ASCII');
    END IF;
    SELECT greatest(dropped_timestamp_seconds, max(extract(epoch FROM (line[1] || '+00')::timestamptz)))
      INTO dropped_timestamp_seconds
      FROM regexp_matches(said, '(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\S* P\d+ +WARN: dropped WAL file', 'g') AS line;
    -- Only what the latest try complained of, and since something was archived last: what others met may be mended.
    said := regexp_replace(said, '^.*PROCESS START', '');
    SELECT min(line[1]) INTO since FROM regexp_matches(said, '(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*) P\d+ +\w+:', 'g') AS line
     WHERE (line[1] || '+00')::timestamptz >= coalesce(stat.last_archived_time, '-infinity');
    said := coalesce(substr(said, strpos(said, since)), '');
    cause := CASE
      WHEN failing = 0 THEN ''
      -- Whoever waits for an answer has not complained yet.
      WHEN said = '' THEN 'unreachable'
      WHEN said ~* 'InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|HTTP request failed with 403' THEN 'denied'
      WHEN said ~* 'NoSuchBucket' THEN 'bucket'
      WHEN said ~* 'certificate' THEN 'certificate'
      WHEN said ~* 'do not match repo1 stanza version|ArchiveMismatchError' THEN 'foreign'
      WHEN said ~* 'CryptoError|unable to flush|cipher header' THEN 'key'
      WHEN said ~* 'HostConnectError|unable to connect|timeout|unable to get address|failed with 5\d\d' THEN 'unreachable'
      ELSE 'other' END;
  END
  $archiving$;
REVOKE ALL ON FUNCTION checkpointstore.archiving() FROM PUBLIC;
GRANT USAGE ON SCHEMA checkpointstore TO :"monitoring";
GRANT EXECUTE ON FUNCTION checkpointstore.archiving() TO :"monitoring";
COMMENT ON FUNCTION checkpointstore.archiving() IS :'mark'
