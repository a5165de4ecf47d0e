-- Accounts of customers, and the bank's own position in each currency: 'bank'. Every movement is between the two.
create table accounts (
  owner text not null,
  currency text not null,
  opening bigint not null,
  balance bigint not null,
  -- Below nothing only by the cancellation of a deposit that was spent meanwhile: no withdrawal overdraws.
  primary key (owner, currency)
);

-- What was done for each exchange, once: withdrawal and deposit are known by the exchange's id.
create table movements (
  exchange_id text not null,
  kind text not null check (kind in ('withdrawal', 'deposit')),
  -- `cancelled` without a customer: it was cancelled before it came, and is refused when it does.
  state text not null check (state in ('done', 'refused', 'cancelled')),
  customer_id text,
  currency text,
  amount bigint check (amount > 0),
  reason text,
  cancel_tries integer not null default 0,
  at timestamptz not null default clock_timestamp(),
  primary key (exchange_id, kind)
);

-- Both sides of each movement and of each cancellation: of each there are two, which add up to nothing.
create table entries (
  exchange_id text not null,
  kind text not null,
  entry text not null check (entry in ('movement', 'cancellation')),
  owner text not null,
  currency text not null,
  amount bigint not null,
  at timestamptz not null default clock_timestamp(),
  primary key (exchange_id, kind, entry, owner),
  foreign key (exchange_id, kind) references movements
);
