-- What every saga has done, and who works on it.
CREATE TABLE milena_saga (
  id text COLLATE "C" PRIMARY KEY,
  -- The definition's name.
  saga text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('running', 'completed', 'compensating', 'compensated')),
  -- All that is known of it; the other columns are what it is found by.
  status json NOT NULL,
  -- Of whoever claimed it last; grows with every claim.
  token bigint NOT NULL,
  -- Grows with every change.
  version bigint NOT NULL,
  owner text COLLATE "C",
  -- When it is to be worked on, while it is free; NULL: when somebody asks for it.
  due_at timestamptz,
  -- The correlation id, in hexadecimal, of the command whose reply it waits for.
  waiting_for text COLLATE "C",
  stuck boolean NOT NULL,
  -- In milliseconds since the Unix epoch, by the clock of who began it.
  started_at bigint NOT NULL,
  ended_at timestamptz,
  -- In the order in which they were begun.
  place bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  -- The transaction of the last change.
  changed_in xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX milena_saga_due ON milena_saga (due_at) WHERE owner IS NULL AND due_at IS NOT NULL;
CREATE INDEX milena_saga_owned ON milena_saga (owner) WHERE owner IS NOT NULL;
CREATE INDEX milena_saga_waiting ON milena_saga (waiting_for) WHERE waiting_for IS NOT NULL;
CREATE INDEX milena_saga_state ON milena_saga (state, place);
CREATE INDEX milena_saga_changes ON milena_saga (changed_in, place);
CREATE INDEX milena_saga_ended ON milena_saga (ended_at) WHERE ended_at IS NOT NULL;

-- Processes that work on sagas, and how long each of them counts as alive.
CREATE TABLE milena_saga_owner (
  owner text COLLATE "C" PRIMARY KEY,
  lease_ends timestamptz NOT NULL
);
