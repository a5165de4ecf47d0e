-- Who has the journal of an instance. Whoever takes it makes the epoch higher by one, and what is written under a lower
-- one is refused.
CREATE TABLE milena_journal_owners (
  instance_id text PRIMARY KEY,
  epoch bigint NOT NULL,
  renewed_at timestamptz NOT NULL,
  -- Closed, not killed: nobody has to wait for the lease to end.
  released boolean NOT NULL
);

-- What requesters have accepted and not finished.
CREATE TABLE milena_journal (
  id bigint GENERATED ALWAYS AS IDENTITY,
  instance_id text NOT NULL,
  correlation_id bytea NOT NULL,
  operation text NOT NULL,
  topic text NOT NULL,
  key bytea,
  value bytea,
  -- JSON: pairs of names and contents in base64.
  headers text NOT NULL,
  -- Milliseconds; the times since the Unix epoch, by the requester's clock.
  timeout float8 NOT NULL,
  accepted_at float8 NOT NULL,
  deadline float8 NOT NULL,
  -- JSON: topic, partition and offset of each position.
  replies_from text NOT NULL,
  -- Its outcome was told as unknown; it is kept until then for a late reply.
  kept_until float8,
  PRIMARY KEY (instance_id, correlation_id)
);
CREATE INDEX milena_journal_order ON milena_journal (instance_id, id);
