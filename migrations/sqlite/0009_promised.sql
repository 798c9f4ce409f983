-- What an upload counts for in its account; null: as its bytes say.
alter table upload add column reserved bigint;
-- When what it left in the bucket is to be removed; null: nothing is left.
alter table upload add column sweep_at bigint;
create index upload_sweep on upload (sweep_at) where sweep_at is not null;
create index upload_whole on upload (id) where state = 'open' and received = length and door <> 'parts';
create index upload_finals on upload (id) where concat = 'final' and state = 'finishing';

-- Each draft was offered an upload by parts; those that nobody used say nothing.
delete from upload where state = 'abandoned' and door = 'parts' and multipart is null and received = 0;
update upload set sweep_at = expires_at where state = 'abandoned';

-- Bytes kept and promised, so that nobody sums uploads to know.
alter table account add column used_bytes bigint not null default 0;
update account set used_bytes = coalesce((
    select sum(case when u.state = 'finished' then u.received else max(u.received, coalesce(u.length, 0)) end)
    from upload u where u.account_id = account.id and u.state <> 'abandoned'), 0)
    where exists (select 1 from upload u where u.account_id = account.id);
