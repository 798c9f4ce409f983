-- The uploaded picture that is shown, the one that is still to be, and why that one can't be.
alter table video add column poster text;
alter table video add column poster_upload text;
alter table video add column poster_error text;
