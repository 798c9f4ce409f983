create table account (
    id              text primary key,
    handle          text not null unique,
    name            jsonb not null,
    sector          text not null,
    level           text not null,
    region          text not null,
    parent_id       text references account (id),
    max_video_bytes bigint,
    quota_bytes     bigint,
    created_at      bigint not null,
    updated_at      bigint not null
);
create index account_parent on account (parent_id);

create table topic (
    id         text primary key,
    slug       text not null unique,
    name       jsonb not null,
    created_at bigint not null,
    updated_at bigint not null
);

create table api_key (
    id         text primary key,
    account_id text references account (id),
    role       text not null,
    label      text not null,
    hash       text not null unique,
    created_at bigint not null,
    revoked_at bigint
);
create index api_key_account on api_key (account_id);

create table video (
    id               text primary key,
    account_id       text not null references account (id),
    topic_id         text not null references topic (id),
    title            jsonb not null,
    description      jsonb not null,
    language         text not null,
    state            text not null,
    published_at     bigint,
    withdrawn_reason jsonb,
    poster_alt       jsonb not null,
    media_state      text not null,
    error            jsonb,
    revision         bigint,
    upload_id        text,
    created_at       bigint not null,
    updated_at       bigint not null,
    deleted_at       bigint
);
create index video_account on video (account_id, id);
create index video_topic on video (topic_id, id);
create index video_state on video (media_state, id);

create table video_token (
    token    text not null,
    video_id text not null references video (id) on delete cascade,
    primary key (token, video_id)
);
create index video_token_video on video_token (video_id);

create table upload (
    id           text primary key,
    video_id     text references video (id) on delete cascade,
    account_id   text references account (id),
    api_key_id   text not null,
    door         text not null,
    concat       text not null,
    partials     jsonb not null,
    length       bigint,
    received     bigint not null,
    part_size    bigint not null,
    tail         bigint not null,
    multipart    text,
    hash_state   text,
    sha256       text,
    fence        bigint not null,
    state        text not null,
    filename     text not null,
    metadata     jsonb not null,
    created_at   bigint not null,
    expires_at   bigint not null,
    finished_at  bigint
);
create index upload_video on upload (video_id);
create index upload_expiry on upload (state, expires_at);
create index upload_sha256 on upload (account_id, sha256);

create table upload_part (
    upload_id  text not null references upload (id) on delete cascade,
    number     bigint not null,
    size_bytes bigint not null,
    etag       text not null,
    primary key (upload_id, number)
);

create table revision (
    video_id       text not null references video (id) on delete cascade,
    number         bigint not null,
    state          text not null,
    upload_id      text not null,
    ladder_version bigint not null,
    probe          jsonb,
    ladder         jsonb,
    timeline       jsonb,
    storyboard     jsonb,
    poster         jsonb,
    warnings       jsonb not null,
    error          jsonb,
    provenance     jsonb not null,
    cpu_ms         bigint not null,
    created_at     bigint not null,
    finished_at    bigint,
    retire_at      bigint,
    primary key (video_id, number)
);
create index revision_retire on revision (retire_at);

create table rung (
    video_id text not null,
    revision bigint not null,
    name     text not null,
    position bigint not null,
    audio    boolean not null,
    width    bigint not null,
    height   bigint not null,
    codecs   text,
    state    text not null,
    error    text,
    primary key (video_id, revision, name),
    foreign key (video_id, revision) references revision (video_id, number) on delete cascade
);

create table pack (
    video_id      text not null,
    revision      bigint not null,
    rung          text not null,
    first_segment bigint not null,
    attempt       bigint not null,
    size_bytes    bigint not null,
    segments      jsonb not null,
    primary key (video_id, revision, rung, first_segment),
    foreign key (video_id, revision, rung) references rung (video_id, revision, name) on delete cascade
);

create table job (
    id               text primary key,
    kind             text not null,
    lane             bigint not null,
    position         bigint not null,
    name             text not null,
    work             jsonb not null,
    account_id       text,
    video_id         text,
    revision         bigint,
    state            text not null,
    attempt          bigint not null,
    max_attempts     bigint not null,
    run_at           bigint not null,
    lease_until      bigint,
    lease_by         text,
    progress         double precision not null,
    cancel_requested boolean not null,
    last_error       text,
    created_at       bigint not null,
    finished_at      bigint
);
create unique index job_name on job (name) where state in ('queued', 'running');
create index job_queue on job (state, lane, position, run_at, id);
create index job_video on job (video_id, revision);

create table job_attempt (
    job_id     text not null references job (id) on delete cascade,
    attempt    bigint not null,
    worker     text not null,
    started_at bigint not null,
    ended_at   bigint,
    outcome    text,
    error      text,
    primary key (job_id, attempt)
);

create table idempotency (
    api_key_id text not null,
    key        text not null,
    digest     text not null,
    status     bigint,
    location   text,
    body       text,
    created_at bigint not null,
    primary key (api_key_id, key)
);
create index idempotency_created on idempotency (created_at);

create table setting (
    name  text primary key,
    value text not null
);
