-- Pages list what is public by when it was published: all of it, an account's, and a topic's with all below it.
create index video_published on video (state, published_at, id) where state = 'published';
create index video_published_account on video (account_id, state, published_at, id) where state = 'published';

-- A topic is a token of its videos. Triggers keep the time whichever statement of whichever binary publishes.
alter table video_token add column published_at integer;
update video_token set published_at = (select v.published_at from video v where v.id = video_id)
    where substr(token, 1, 1) = '/' and state = 'published';
create index video_token_published on video_token (token, state, published_at, video_id)
    where substr(token, 1, 1) = '/';
create trigger video_token_time after insert on video_token when substr(new.token, 1, 1) = '/'
begin
    update video_token set published_at = (select v.published_at from video v where v.id = new.video_id)
        where token = new.token and state = new.state and video_id = new.video_id;
end;
create trigger video_token_publish after update of published_at on video when old.published_at is not new.published_at
begin
    update video_token set published_at = new.published_at
        where video_id = new.id and substr(token, 1, 1) = '/';
end;

-- What lies below an account, by name.
create index account_below on account (parent_id, handle);

-- What the search knows of a video is older than its words, or than the names of its account and topics; each node puts
-- some right every minute.
alter table video add column indexed integer not null default 0;
create index video_stale on video (id) where indexed = 0;
