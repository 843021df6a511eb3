-- Indexes that an interrupted CREATE INDEX CONCURRENTLY left behind; none is the good answer.
SELECT indrelid::regclass AS table, indexrelid::regclass AS index, indisvalid AS valid, indisready AS ready
FROM pg_index WHERE NOT indisvalid OR NOT indisready
