-- The newest checkpoint of each thread and namespace: what its channels have that are not in the row itself, and what is pending.
WITH newest AS MATERIALIZED (
  SELECT thread_id, checkpoint_ns, max(checkpoint_id) AS checkpoint_id FROM checkpoints GROUP BY thread_id, checkpoint_ns
), part AS (
  SELECT n.thread_id, n.checkpoint_ns, b.channel, octet_length(b.blob)::bigint AS bytes
    FROM newest AS n JOIN checkpoints AS c USING (thread_id, checkpoint_ns, checkpoint_id)
   CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') AS v
    JOIN checkpoint_blobs AS b ON b.thread_id = n.thread_id AND b.checkpoint_ns = n.checkpoint_ns
     AND b.channel = v.key AND b.version = v.value
   UNION ALL
  SELECT n.thread_id, n.checkpoint_ns, w.channel, octet_length(w.blob)
    FROM newest AS n JOIN checkpoint_writes AS w USING (thread_id, checkpoint_ns, checkpoint_id)
)
SELECT pg_size_pretty(sum(bytes)) AS size, (array_agg(channel ORDER BY bytes DESC NULLS LAST))[1] AS "largest channel",
       pg_size_pretty(max(bytes)) AS "its size", thread_id AS thread, checkpoint_ns AS namespace
  FROM part GROUP BY thread_id, checkpoint_ns ORDER BY sum(bytes) DESC NULLS LAST LIMIT {count}
