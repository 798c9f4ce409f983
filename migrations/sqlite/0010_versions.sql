-- Raised by every change that people make, for If-Match.
alter table video add column version integer not null default 1;
alter table broadcast add column version integer not null default 1;
alter table account add column version integer not null default 1;
alter table topic add column version integer not null default 1;
-- The latest source, where it was refused and what was there before plays on.
alter table video add column source_refused text;
