-- A payment is a charge or a refund of one; gateway/payment.ts draws its states.
create table payments (
  kind text not null check (kind in ('charge', 'refund')),
  id text not null,                       -- a charge: the order's id; a refund: its own
  order_id text not null,
  amount bigint not null check (amount > 0),
  method text not null check (method in ('card', 'bank', 'wallet')),
  state text not null default 'pending' check (state in ('pending', 'unknown', 'approved', 'declined', 'failed')),
  owner text not null,                    -- the gateway process that accepted it; see gateway_leases
  expires_at timestamptz not null,        -- by the provider's clock: it begins nothing for this payment after it
  approval_id text,
  reason text,
  created_at timestamptz not null default now(),
  settled_at timestamptz,
  next_ask_at timestamptz not null default now(),
  primary key (kind, id)
);
create index payments_unsettled on payments (next_ask_at) where state in ('pending', 'unknown');
create index payments_refunds on payments (order_id) where kind = 'refund';

-- What happened to each payment, in order.
create table payment_events (
  seq bigint generated always as identity primary key,
  kind text not null,
  id text not null,
  at timestamptz not null default clock_timestamp(),
  event text not null,
  details jsonb not null default '{}'
);
create index payment_events_of on payment_events (kind, id, seq);

-- Payments whose outcome nobody knew when their caller was answered. Never sent again: resolved by asking.
create table dead_letters (
  seq bigint generated always as identity primary key,
  kind text not null,
  id text not null,
  reason text not null,
  request jsonb not null,
  at timestamptz not null default now(),
  resolved_at timestamptz,
  resolution text
);
create unique index dead_letters_of on dead_letters (kind, id);

-- Which gateway processes are alive; each renews its own.
create table gateway_leases (
  owner text primary key,
  expires_at timestamptz not null
);
