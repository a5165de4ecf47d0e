-- How each exchange stands; written in the transaction that changes its saga and writes the commands to be sent.
create table exchanges (
  id text primary key,
  direction text not null check (direction in ('BUY', 'SELL')),
  customer_id text not null,
  currency text not null,
  amount bigint not null,
  krw_amount bigint not null,
  rate bigint not null,
  status text not null check (status in ('RUNNING', 'COMPLETED', 'COMPENSATING', 'CANCELLED')),
  reason text,
  retries integer not null,               -- of its steps and of their compensations, beyond the first try of each
  changed_at timestamptz not null default clock_timestamp()
);
create index exchanges_open on exchanges (status) where status in ('RUNNING', 'COMPENSATING');
