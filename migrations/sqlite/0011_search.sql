-- Every token carries the state of its video, so that a search of what is public walks past no draft. Triggers keep the
-- two alike whichever statement changes a state.
create table video_token_new (
    token    text not null,
    state    text not null default 'draft',
    video_id text not null references video (id) on delete cascade,
    primary key (token, state, video_id)
) without rowid;
insert into video_token_new (token, state, video_id)
    select k.token, v.state, k.video_id from video_token k join video v on v.id = k.video_id
    where v.deleted_at is null
    union all select '@' || v.account_id, v.state, v.id from video v where v.deleted_at is null
    order by 1, 2, 3;
drop table video_token;
alter table video_token_new rename to video_token;
create index video_token_video on video_token (video_id);

create trigger video_token_follow after update of state on video when old.state <> new.state
begin
    update video_token set state = new.state where video_id = new.id;
end;
create trigger video_token_drop after update of deleted_at on video when new.deleted_at is not null
begin
    delete from video_token where video_id = new.id;
end;
-- No list goes past what is deleted: it has a state that nobody asks for.
update video set state = 'deleted' where deleted_at is not null;

-- An account's failed videos, in order.
create index video_account_media on video (account_id, media_state, state, id);
