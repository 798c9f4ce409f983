-- Each list goes along one index: what is narrowed by first, the order last.
create index video_visible on video (state, id);
create index video_states on video (media_state, state, id);
create index video_account_state on video (account_id, state, id);
create index account_level on account (level, handle);
create index account_sector on account (sector, handle);
create index account_sector_level on account (sector, level, handle);
create index job_state on job (state, id);
create index job_kind on job (kind, id);

-- What is cleaned up every minute.
create index job_finished on job (finished_at) where finished_at is not null;
drop index upload_expiry;
create index upload_expiry on upload (expires_at) where state = 'open' or (concat = 'partial' and state = 'finished');

-- A topic with all below it is a token of its videos.
drop index video_topic;
insert into video_token (token, video_id)
    select '/' || above.slug, v.id
    from video v join topic t on t.id = v.topic_id
    join topic above on t.slug = above.slug or t.slug like above.slug || '/%'
    where true
    on conflict do nothing;
