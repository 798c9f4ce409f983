//! A PostgreSQL of the tests' own: started once a process, one empty database a test, gone with the process. Or one for
//! a single test, to be stopped and started again.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Stops and starts the server as its own input says, and removes its folder once that ends: when the test process is
/// gone, however it went.
const KEEPER: &str = r#"
    signal() { kill -$1 $server $(cat /proc/$server/task/$server/children); }
    "$@" >>"$0/log" 2>&1 & server=$!
    while read -r word; do
        case $word in
            stop) kill -INT $server; wait $server; echo stopped ;;
            start) "$@" >>"$0/log" 2>&1 & server=$! ;;
            hang) signal STOP; echo hanging ;;
            wake) signal CONT ;;
        esac
    done
    signal CONT
    kill -QUIT $server
    wait $server
    rm -rf "$0"
"#;

/// A keeper that says nothing for so long has lost its server.
const SAID_WITHIN: Duration = Duration::from_mins(1);

/// A running server; gone when dropped.
pub struct Postgres {
    folder: PathBuf,
    databases: AtomicU32,
    /// Its input is the life line.
    keeper: Child,
}

/// A new, empty database; its URL.
pub async fn database() -> String {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(start)).await.expect("a server");
    server.database().await
}

impl Postgres {
    /// A server of one's own.
    pub async fn own() -> Self {
        tokio::task::spawn_blocking(start).await.expect("a server")
    }

    /// A new, empty database in it; its URL.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect(self).await;
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await.expect("a database");
        self.url(&name)
    }

    /// Takes it away: every connection is cut, and no new one is taken.
    pub fn stop(&mut self) {
        self.tell("stop");
        hear(&mut self.keeper, "stopped\n");
    }

    /// It takes connections and questions, and answers nothing.
    pub fn hang(&mut self) {
        self.tell("hang");
        hear(&mut self.keeper, "hanging\n");
    }

    /// It answers again, also what it was asked meanwhile.
    pub fn wake(&mut self) {
        self.tell("wake");
    }

    /// Brings it back with all it had.
    pub async fn start(&mut self) {
        self.tell("start");
        connect(self).await;
    }

    fn tell(&mut self, word: &str) {
        let keeper = self.keeper.stdin.as_mut().expect("a keeper that listens");
        writeln!(keeper, "{word}").expect("a keeper");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://policast@localhost/{database}?host={}", self.folder.display())
    }
}

/// Hears a keeper say this word, within a time: a read from a pipe has none of its own.
pub fn hear(keeper: &mut Child, word: &str) {
    let mut output = keeper.stdout.take().expect("a keeper that speaks");
    let mut said = vec![0; word.len()];
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let read = output.read_exact(&mut said);
        // Nobody hears what is said too late.
        let _ = tell.send((output, said, read));
    });
    let (output, said, read) = told.recv_timeout(SAID_WITHIN).expect("a keeper that answers");
    read.expect("a keeper");
    assert_eq!(said, word.as_bytes());
    keeper.stdout = Some(output);
}

async fn connect(server: &Postgres) -> PgConnection {
    let (begun, url) = (Instant::now(), server.url("postgres"));
    loop {
        let connected = tokio::time::timeout(SAID_WITHIN, PgConnection::connect(&url)).await;
        match connected.expect("an answer") {
            Ok(connection) => return connection,
            Err(error) if begun.elapsed() > SAID_WITHIN => panic!("{error}: {}", server.log()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

impl Postgres {
    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

fn start() -> Postgres {
    let folder = tempfile::Builder::new().prefix("policast-pg-").tempdir().expect("a folder").keep();
    let user = unprivileged(&folder);
    let data = folder.join("data");
    let options = ["-U", "policast", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"];
    let made = as_user(user.as_ref(), &program("initdb")).args(options).arg(&data).output().expect("initdb");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let keeper = keep(user.as_ref(), &folder, &data);
    Postgres { folder, databases: AtomicU32::new(0), keeper }
}

fn keep(user: Option<&User>, folder: &Path, data: &Path) -> Child {
    let server = as_user(user, &program("postgres"));
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER]).arg(folder).arg(server.get_program()).args(server.get_args());
    keeper.arg("-D").arg(data).arg("-k").arg(folder);
    for setting in ["listen_addresses=", "fsync=off", "synchronous_commit=off", "max_connections=300"] {
        keeper.args(["-c", setting]);
    }
    keeper.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    keeper.spawn().expect("a server")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Its folder goes with it.
        let _ = self.keeper.wait();
    }
}

struct User {
    uid: u32,
    gid: u32,
}

/// PostgreSQL refuses to run as root: then `postgres` or, where there is none, `nobody` owns the folder.
fn unprivileged(folder: &Path) -> Option<User> {
    if fs::metadata(folder).expect("a folder").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users");
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|field| field.parse().ok());
        Some(User { uid: numbers.next()??, gid: numbers.next()?? })
    };
    let user = find("postgres").or_else(|| find("nobody")).expect("an unprivileged user");
    chown(folder, Some(user.uid), Some(user.gid)).expect("the folder is ours");
    Some(user)
}

fn as_user(user: Option<&User>, program: &Path) -> Command {
    let Some(User { uid, gid }) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
    command.arg(program).current_dir("/");
    command
}

/// Debian keeps them apart by version and out of the PATH; the newest.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin").join(name));
    programs.filter(|path| path.exists()).max().unwrap_or_else(|| PathBuf::from(name))
}

#[tokio::test]
async fn two_databases_know_nothing_of_each_other() {
    let (one, other) = (database().await, database().await);
    let mut connection = PgConnection::connect(&one).await.expect("one");
    connection.execute("create table only_here (id text)").await.expect("a table");
    let mut connection = PgConnection::connect(&other).await.expect("the other");
    assert!(connection.execute("select id from only_here").await.is_err());
}

#[tokio::test]
async fn a_server_that_was_stopped_comes_back_with_what_it_had() {
    let mut server = Postgres::own().await;
    let url = server.database().await;
    let mut connection = PgConnection::connect(&url).await.expect("a server");
    connection.execute("create table kept (id text)").await.expect("a table");
    server.stop();
    assert!(connection.execute("select id from kept").await.is_err());
    assert!(PgConnection::connect(&url).await.is_err());
    server.start().await;
    let mut connection = PgConnection::connect(&url).await.expect("a server");
    connection.execute("select id from kept").await.expect("the table");
}

#[tokio::test]
async fn a_server_that_hangs_answers_later() {
    let mut server = Postgres::own().await;
    let mut connection = PgConnection::connect(&server.database().await).await.expect("a server");
    server.hang();
    let mut asked = connection.execute("select 1");
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut asked).await.is_err());
    server.wake();
    asked.await.expect("an answer");
}
