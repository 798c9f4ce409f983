//! Fills a catalogue, as fast as the engine can.

use std::path::Path;

use policast::catalogue::Db;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::Filled;
use crate::bulk::Bulk;

/// An engine with so many videos.
pub async fn filled(engine: &str, videos: i64) -> Filled {
    let folder = tempfile::tempdir().expect("a folder");
    if engine == "sqlite" {
        let file = folder.path().join("policast.db");
        let db = filled_sqlite(&file, videos).await;
        return Filled { videos, db, address: file.display().to_string(), folder };
    }
    let address = crate::postgres::database().await;
    let db = filled_postgres(&address, videos).await;
    Filled { videos, db, address, folder }
}

async fn filled_postgres(address: &str, videos: i64) -> Db {
    let db = Db::postgres(address).await.expect("PostgreSQL");
    db.migrate().await.expect("the schema");
    let Db::Pg(pool) = &db else { return db };
    let mut conn = pool.acquire().await.expect("a connection");
    // Neither triggers nor foreign keys: the filling is sound by itself. Its indexes are made in one go.
    let before = "set session_replication_role = replica; set maintenance_work_mem = '512MB';
        alter table video_token drop constraint video_token_pkey; drop index video_token_video";
    let after = "alter table video_token add primary key (token, state, video_id);
        create index video_token_video on video_token (video_id); set session_replication_role = origin";
    conn.execute(before).await.expect("prepared");
    for statement in Bulk::new(&db, videos).statements() {
        conn.execute(AssertSqlSafe(statement)).await.expect("filled");
    }
    conn.execute(after).await.expect("indexed");
    for _ in 0..2 {
        // What the first round finds too new to be seen by all, the second marks.
        conn.execute("vacuum analyze").await.expect("analysed");
    }
    drop(conn);
    db
}

/// Nothing but the filling is to be kept, so nothing is written twice.
pub async fn filled_sqlite(file: &Path, videos: i64) -> Db {
    let db = Db::sqlite(file).await.expect("SQLite");
    db.migrate().await.expect("the schema");
    let statements = Bulk::new(&db, videos).statements();
    db.close().await;
    let options = SqliteConnectOptions::new().filename(file).journal_mode(SqliteJournalMode::Off);
    let options = options.synchronous(SqliteSynchronous::Off).foreign_keys(false);
    let options = options.pragma("cache_size", "-1000000").pragma("temp_store", "1");
    let mut conn = options.connect().await.expect("a connection");
    for statement in statements {
        conn.execute(AssertSqlSafe(statement)).await.expect("filled");
    }
    sqlx::Connection::close(conn).await.expect("closed");
    Db::sqlite(file).await.expect("SQLite")
}
