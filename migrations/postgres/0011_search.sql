-- Every token carries the state of its video, so that a search of what is public walks past no draft. Triggers keep the
-- two alike whichever statement of whichever binary changes a state, the one before this migration too.
alter table video_token add column state text not null default 'draft';
update video_token k set state = v.state from video v where v.id = k.video_id and v.state <> 'draft';
delete from video_token k using video v where v.id = k.video_id and v.deleted_at is not null;
insert into video_token (token, video_id, state)
    select '@' || account_id, id, state from video where deleted_at is null;
-- An index without the state would be taken for as good as this one.
alter table video_token drop constraint video_token_pkey, add primary key (token, state, video_id);
-- How frequent the words are decides in which order they are looked up.
alter table video_token alter column token set statistics 1000;

create function video_token_follow() returns trigger language plpgsql as $$
begin
    if new.deleted_at is not null then
        delete from video_token where video_id = new.id;
    else
        update video_token set state = new.state where video_id = new.id;
    end if;
    return null;
end $$;
create trigger video_token_follow after update of state, deleted_at on video for each row
    when (old.state is distinct from new.state or old.deleted_at is distinct from new.deleted_at)
    execute function video_token_follow();

-- The binary before this migration says no state.
create function video_token_state() returns trigger language plpgsql as $$
begin
    select v.state into new.state from video v where v.id = new.video_id;
    return new;
end $$;
create trigger video_token_state before insert on video_token for each row execute function video_token_state();

-- No list goes past what is deleted: it has a state that nobody asks for.
update video set state = 'deleted' where deleted_at is not null;

-- Lists go along these. Their order is that of bytes: the primary key has another one, and is never taken for cheaper.
create index video_listed on video (state, id collate "C");
create index video_listed_media on video (media_state, state, id collate "C");
create index video_listed_account on video (account_id, state, id collate "C");
create index video_listed_account_media on video (account_id, media_state, state, id collate "C");
