create table shops (
  id text primary key,
  base integer not null,
  radius integer not null,
  -- What is going on, in the order in which it began.
  active jsonb not null default '[]',
  -- Where in the log the last change stands that was applied or refused: up to there all are.
  applied_partition integer,
  applied_offset bigint,
  changes integer not null default 0,
  -- What the last ones were answered: a change that comes again gets the same.
  answers jsonb not null default '[]'
) with (fillfactor = 50); -- so that a changed row stays in its page, and the index as it is

-- Changes that were not made, and those of which nobody knows.
create table changes (
  number bigint generated always as identity,
  id text primary key,
  trigger_id text not null,
  shop text not null,
  kind text not null,
  action text not null,
  -- `done`: later, at another try or by a late reply.
  status text not null check (status in ('failed', 'unknown', 'done')),
  code text,
  message text,
  requested_at timestamptz not null
);
create index changes_by_status on changes (status, number);

-- Triggers of all requesters: how far each was when its requester noted it last.
create table triggers (
  id text primary key,
  requester text not null,
  kind text not null,
  action text not null,
  total integer not null,
  -- `interrupted`: its requester has ended before it was finished.
  state text not null default 'running' check (state in ('running', 'finished', 'interrupted')),
  done integer not null default 0,
  failed integer not null default 0,
  unknown integer not null default 0,
  rate integer not null default 0,
  p50 integer not null default 0,
  p99 integer not null default 0
);
create index triggers_running on triggers (requester) where state = 'running';
