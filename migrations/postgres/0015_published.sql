-- Pages list what is public by when it was published: all of it, an account's, and a topic's with all below it.
create index video_published on video (state, published_at, id) where state = 'published';
create index video_published_account on video (account_id, state, published_at, id) where state = 'published';

-- A topic is a token of its videos. Triggers keep the time whichever statement of whichever binary publishes.
alter table video_token add column published_at bigint;
update video_token k set published_at = v.published_at from video v
    where v.id = k.video_id and substr(k.token, 1, 1) = '/' and k.state = 'published';
create index video_token_published on video_token (token, state, published_at, video_id)
    where substr(token, 1, 1) = '/';
create or replace function video_token_state() returns trigger language plpgsql as $$
begin
    select v.state, case when substr(new.token, 1, 1) = '/' then v.published_at end
        into new.state, new.published_at from video v where v.id = new.video_id;
    return new;
end $$;
create function video_token_publish() returns trigger language plpgsql as $$
begin
    update video_token set published_at = new.published_at
        where video_id = new.id and substr(token, 1, 1) = '/';
    return null;
end $$;
create trigger video_token_publish after update of published_at on video for each row
    when (old.published_at is distinct from new.published_at) execute function video_token_publish();

-- What lies below an account, by name.
create index account_below on account (parent_id, handle);

-- What the search knows of a video is older than its words, or than the names of its account and topics; each node puts
-- some right every minute.
alter table video add column indexed integer not null default 0;
create index video_stale on video (id) where indexed = 0;
