-- Who is at work on an idempotency key, and what came of it.
CREATE TABLE milena_idempotency (
  scope text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  fingerprint bytea NOT NULL,
  state text NOT NULL CHECK (state IN ('claimed', 'stored', 'released')),
  -- Of the claim that holds it, or held it last; grows with every claim.
  token bigint NOT NULL,
  -- How often it was claimed.
  claims integer NOT NULL DEFAULT 1,
  owner text NOT NULL,
  lease_ends timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  -- Milliseconds that it is known for, from its last change.
  ttl bigint NOT NULL,
  -- When it is forgotten: not before the lease is over.
  expires_at timestamptz NOT NULL,
  outcome bytea,
  PRIMARY KEY (scope, key)
);
CREATE INDEX milena_idempotency_expiry ON milena_idempotency (expires_at);
CREATE SEQUENCE milena_idempotency_token;

-- Since when nothing has been forgotten. After a restore from a backup it is to be set to now().
CREATE TABLE milena_idempotency_knows (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  since timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO milena_idempotency_knows DEFAULT VALUES;
