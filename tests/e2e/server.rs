//! The real binary, started on a folder and ports of its own, and stopped by its process id.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::api::Api;
use crate::ports::Port;

/// A start that takes longer is a hang.
const START: Duration = Duration::from_mins(1);

/// `policast serve` and all it needs; killed when dropped.
pub struct Server {
    pub api: Api,
    settings: Vec<(String, String)>,
    home: TempDir,
    _ports: [Port; 4],
    child: Option<Child>,
}

impl Server {
    /// Starts on a new folder and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings of one's own.
    pub async fn start_with(extra: &[(&str, &str)]) -> Self {
        let mut server = Self::at(extra);
        server.restart().await;
        server
    }

    /// A server that isn't started yet.
    pub fn at(extra: &[(&str, &str)]) -> Self {
        let home = tempfile::Builder::new().prefix("policast-e2e-").tempdir().expect("a folder");
        let ports = [(); 4].map(|()| Port::reserve());
        let [listen, s3, metrics, rtmp] = ports.each_ref().map(|port| format!("127.0.0.1:{port}"));
        let key = format!("pk_{}", uuid::Uuid::now_v7().simple().to_string().repeat(2));
        let api = Api::new(format!("http://{listen}"), key.clone());
        let own = [
            ("POLICAST_DATA_DIR", home.path().join("data").display().to_string()),
            ("POLICAST_PUBLIC_URL", api.base.clone()),
            ("POLICAST_URL", api.base.clone()),
            ("POLICAST_KEY", key.clone()),
            ("POLICAST_LISTEN", listen),
            ("POLICAST_S3_LISTEN", s3),
            ("POLICAST_METRICS_LISTEN", metrics),
            ("POLICAST_RTMP_LISTEN", rtmp),
            ("POLICAST_ADMIN_KEY", key),
            ("POLICAST_SHUTDOWN_DELAY", "0s".to_owned()),
            ("XDG_STATE_HOME", home.path().join("state").display().to_string()),
        ];
        let mut settings: Vec<_> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        settings.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self { api, settings, home, _ports: ports, child: None }
    }

    /// Gives it another setting, from its next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it, again or for the first time, on the same folder and ports.
    pub async fn restart(&mut self) {
        self.begin("serve");
        self.wait_until_ready().await;
    }

    /// The same without waiting for anything.
    pub fn begin(&mut self, command: &str) {
        self.kill();
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log");
        let mut command = self.command(&[command]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(command.spawn().expect("policast starts"));
    }

    /// Waits until it can do its work.
    pub async fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        while !self.api.is_ready().await {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a child"));
            assert!(ended.is_none(), "policast serve ended with {ended:?}:\n{}", self.log());
            assert!(begun.elapsed() < START, "policast serve does not get ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Any command of the binary with this server's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_policast"));
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("POLICAST_")) {
            command.env_remove(name);
        }
        command.args(arguments).envs(self.settings.iter().cloned()).current_dir(self.home.path());
        command
    }

    /// Runs a command of the binary to a good end; what it printed.
    pub async fn run(&self, arguments: &[&str]) -> String {
        crate::tool::succeed(self.command(arguments).into()).await
    }

    /// The same for a command that may find something: whether it ended with 0, and what it printed.
    pub async fn try_run(&self, arguments: &[&str]) -> (bool, String) {
        let output =
            tokio::process::Command::from(self.command(arguments)).output().await.expect("the command");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be gone already; then there is nothing to end.
            let _ = child.kill();
            child.wait().expect("a child");
        }
    }

    /// Asks it to stop as an operator does.
    pub fn terminate(&self) {
        if let Some(child) = &self.child {
            kill(pid(child), Signal::SIGTERM).expect("a running server");
        }
    }

    /// Ends it as an operator does; it has to end well, and its log must hold no error.
    pub async fn stop(mut self) {
        self.terminate();
        let Some(mut child) = self.child.take() else { return };
        let status =
            tokio::task::spawn_blocking(move || child.wait()).await.expect("a thread").expect("a child");
        let errors: Vec<_> = self.log().lines().filter(|line| is_error(line)).map(str::to_owned).collect();
        assert!(status.success(), "policast serve ended with {status}:\n{}", self.log());
        assert!(errors.is_empty(), "errors in the log:\n{}", errors.join("\n"));
    }

    /// Waits for its end, which has to be a good one.
    pub fn ends_well(&mut self) {
        let status = self.child.take().expect("a child").wait().expect("a child");
        assert!(status.success(), "policast serve ended with {status}:\n{}", self.log());
    }

    /// It has ended by itself, or was never begun.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.child.as_mut().is_none_or(|child| child.try_wait().expect("a child").is_some());
        if ended {
            self.child = None;
        }
        ended
    }

    /// Its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Every process it has started and not yet buried, by id.
    pub fn children(&self) -> Vec<u32> {
        let Some(own) = self.id() else { return Vec::new() };
        let entries = fs::read_dir("/proc").expect("processes").flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter(|id| parent_of(*id) == Some(own)).collect()
    }

    /// Where it keeps everything, and where a test may put its own files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Everything it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("serve.log")
    }

    /// A setting's value, such as `POLICAST_S3_LISTEN`.
    pub fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().rfind(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log());
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

/// The parent of a process; none where the process is gone or only waits to be buried.
pub fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let is_alive = fields.next()? != "Z";
    fields.next()?.parse().ok().filter(|_| is_alive)
}

fn is_error(line: &str) -> bool {
    line.contains("\"level\":\"ERROR\"") || line.contains(" ERROR ") || line.contains("panicked at")
}
