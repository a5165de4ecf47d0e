-- Records that are to be sent, in the order in which they were written.
CREATE TABLE milena_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Of topic and key; rows of one lane are sent one after the other. Without a key it is a row's own.
  lane bigint NOT NULL,
  operation text NOT NULL,
  topic text NOT NULL,
  -- NULL: the partitioner's choice, by the key
  partition integer,
  key bytea,
  value bytea,
  header_names bytea[] NOT NULL,
  header_values bytea[] NOT NULL,
  idempotency_key text NOT NULL,
  -- of key, value and headers
  bytes integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Only where sent rows are kept.
  sent_at timestamptz,
  -- What has been tried in vain, of a lane's first row.
  failures integer NOT NULL DEFAULT 0,
  failing_since timestamptz,
  retry_at timestamptz,
  error_code text,
  error_message text
);
CREATE INDEX milena_outbox_lanes ON milena_outbox (lane, id) WHERE sent_at IS NULL;
CREATE INDEX milena_outbox_oldest ON milena_outbox (created_at) WHERE sent_at IS NULL;
CREATE INDEX milena_outbox_stuck ON milena_outbox (failing_since) WHERE sent_at IS NULL AND failures > 0;
CREATE INDEX milena_outbox_sent ON milena_outbox (sent_at) WHERE sent_at IS NOT NULL;
