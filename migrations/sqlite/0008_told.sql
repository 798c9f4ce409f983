alter table broadcast add column told_segment bigint not null default 0;
update broadcast set told_segment = next_segment + case when unfinished then 1 else 0 end;
alter table broadcast drop column unfinished;
