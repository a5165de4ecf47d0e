create table if not exists coupons (
  id text primary key,
  title text not null
);
insert into coupons (id, title) values
  ('coffee', 'A cup of coffee'), ('cake', 'A piece of cake'), ('book', 'A book of your choice')
on conflict do nothing;

create table if not exists gifts (
  id text primary key,
  -- Its place among all, for pages.
  number bigint generated always as identity unique,
  coupon_id text not null references coupons,
  recipient text not null,
  message text not null,
  campaign text,
  partner boolean not null,
  -- The command to send its mail: by its row in the outbox, and by what its reply carries.
  outbox_id bigint,
  correlation_id bytea not null unique,
  -- What has come back: 0 sent, 1 failed; or why nobody can say; on which topic, with which headers.
  result smallint check (result in (0, 1)),
  trouble text,
  reply_topic text,
  reply_headers jsonb,
  stored_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);

-- A command that is sent is in the outbox no more.
create or replace view gift_states as
select gifts.*, case
  when result = 0 then 'sent'
  when result = 1 then 'failed'
  when trouble is not null then 'unknown'
  when exists (select from milena_outbox where milena_outbox.id = outbox_id and sent_at is null) then 'stored'
  else 'requested'
end as state
from gifts;
