create table broadcast (
    id             text primary key,
    video_id       text not null unique references video (id) on delete cascade,
    account_id     text not null references account (id),
    state          text not null,
    starts_at      bigint,
    key_hash       text unique,
    grace_ms       bigint not null,
    dvr_ms         bigint,
    revision       bigint,
    upload_id      text,
    epoch          bigint not null,
    owner          text,
    lease_until    bigint,
    next_segment   bigint not null,
    next_start     bigint not null,
    health         text,
    viewers        bigint not null,
    peak_viewers   bigint not null,
    started_at     bigint,
    interrupted_at bigint,
    end_requested  boolean not null default false,
    ended_at       bigint,
    created_at     bigint not null,
    updated_at     bigint not null
);
create index broadcast_account on broadcast (account_id, id);
create index broadcast_state on broadcast (state, id);

create table broadcast_log (
    broadcast_id text not null references broadcast (id) on delete cascade,
    id           text not null,
    at           bigint not null,
    code         text not null,
    message      text not null,
    primary key (broadcast_id, id)
);

alter table pack add column init bigint not null default 0;
alter table pack add column discontinuity boolean not null default false;
alter table pack add column shown_at bigint;
