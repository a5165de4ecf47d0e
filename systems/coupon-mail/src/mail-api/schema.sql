-- What became of each mail. A row without a result is claimed: somebody has begun to send it.
create table if not exists mails (
  id text primary key,
  recipient text not null,
  -- How often somebody has asked for it.
  calls integer not null default 1,
  -- How often it was begun to be sent: more than once only where it is not known what came of the time before.
  tries integer not null default 0,
  -- 0: sent, 1: refused for good.
  result smallint check (result in (0, 1)),
  -- What the SMTP server said.
  detail text,
  claimed_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
