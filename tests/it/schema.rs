//! How a database's schema stands to this binary's, on both engines.

use policast::catalogue::{Db, Schema};
use sqlx::{AssertSqlSafe, Executor};

use crate::catalogue::both;

async fn execute(db: &Db, statement: &str) {
    let statement = AssertSqlSafe(statement.to_owned());
    match db {
        Db::Sqlite { write, .. } => write.execute(statement).await.map(drop).expect("executed"),
        Db::Pg(pool) => pool.execute(statement).await.map(drop).expect("executed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_told_from_an_older_a_half_made_a_foreign_one_and_none() {
    for (db, _folder) in both().await {
        let is = async |schema: Schema| assert_eq!(db.schema().await.expect("an answer"), schema);
        is(Schema::Current).await;
        let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
            values (9999, 'of a newer one', true, '', 0)";
        execute(&db, newer).await;
        is(Schema::Newer { migration: 9999 }).await;
        execute(&db, "update _sqlx_migrations set success = false where version = 9999").await;
        is(Schema::HalfDone { migration: 9999 }).await;
        execute(&db, "delete from _sqlx_migrations where version = 9999").await;
        execute(&db, "update _sqlx_migrations set checksum = '' where version = 2").await;
        is(Schema::Foreign { migration: 2 }).await;
        execute(&db, "delete from _sqlx_migrations where version = 2").await;
        is(Schema::Behind { migrations: 1 }).await;
        execute(&db, "drop table _sqlx_migrations").await;
        is(Schema::Missing).await;
    }
}
