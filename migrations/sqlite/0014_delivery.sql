-- How often the links to a video while it isn't public were called back; a token carries the count.
alter table video add column preview integer not null default 0;
-- What can't be guessed of the names of the objects of a revision, and of a pack; none: made before there was one.
alter table revision add column nonce text;
alter table pack add column nonce text;
