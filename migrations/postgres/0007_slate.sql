alter table broadcast add column slate boolean not null default false;
alter table broadcast add column slate_from bigint;
alter table broadcast add column unfinished boolean not null default false;
