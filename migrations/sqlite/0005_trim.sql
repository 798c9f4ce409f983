alter table video add column trim_start_ms bigint not null default 0;
alter table video add column trim_end_ms bigint;
