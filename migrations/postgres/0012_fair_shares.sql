-- Start-time fair queueing: a flow is an account, or all bulk work together. A flow's turn moves on by what its jobs
-- cost; the waiting flow with the lowest turn is served next. What is written here: which flow a job belongs to, what it
-- is estimated to cost (milliseconds of CPU), and whether a claim may take it (`ready`) or its time has still to come.
alter table job add column flow text;
alter table job add column cost bigint not null default 1000;
alter table job add column ready boolean not null default false;
create index job_ready on job ((coalesce(flow, account_id, '')), lane, position, run_at, id) where state = 'queued' and ready;
create index job_due on job (run_at, id) where state = 'queued' and not ready;
create index job_running on job ((coalesce(flow, account_id, ''))) where state = 'running';

create table job_flow (
    flow    text primary key,
    -- The start tag of its next job, and of the one claimed last.
    turn    bigint not null,
    served  bigint not null,
    waiting boolean not null
);
create index job_flow_turn on job_flow (turn, flow) where waiting;
create index job_flow_served on job_flow (served);

-- Flows that had nothing to be claimed and now have; the next claim takes note of them.
create table job_arrival (
    id   text primary key,
    flow text not null
);

-- What waits already is ready; what waits to be tried again is found when its time comes.
update job set ready = true where state = 'queued' and attempt = 0 and run_at <= (extract(epoch from now()) * 1000)::bigint;
insert into job_arrival (id, flow)
    select min(id), coalesce(account_id, '') from job where state = 'queued' and ready group by coalesce(account_id, '');
