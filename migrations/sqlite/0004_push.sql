create table push_target (
    id           text primary key,
    broadcast_id text not null references broadcast (id) on delete cascade,
    name         text not null,
    url          text not null,
    -- Gone with the end of the broadcast.
    stream_key   text,
    state        text not null,
    error        text,
    since        bigint not null,
    attempts     bigint not null,
    created_at   bigint not null,
    unique (broadcast_id, url, stream_key)
);
