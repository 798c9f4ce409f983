//! One process of a cluster: started, killed, frozen and cut off by its process id, and started again when it ends.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

/// A node.
pub struct Node {
    pub name: String,
    /// Where it answers HTTP.
    pub base: String,
    settings: Vec<(String, String)>,
    folder: PathBuf,
    child: Option<Child>,
    /// Its ways to the bucket and to the database are cut while these are true.
    pub ways: [Arc<Mutex<bool>>; 2],
    /// Frozen, or to stay down: not to be started again.
    pub is_held: bool,
    pub starts: u32,
}

impl Node {
    pub fn new(
        (name, base): (String, String),
        settings: Vec<(String, String)>,
        home: &Path,
        ways: [Arc<Mutex<bool>>; 2],
    ) -> Self {
        let folder = home.join(&name);
        fs::create_dir_all(&folder).expect("a folder");
        Self { name, base, settings, folder, child: None, ways, is_held: false, starts: 0 }
    }

    /// Any command of the binary, with this node's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_policast"));
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("POLICAST_")) {
            command.env_remove(name);
        }
        command.args(arguments).envs(self.settings.iter().cloned()).current_dir(&self.folder);
        command
    }

    /// Starts it; `faults` is where it dies by itself.
    pub fn start(&mut self, faults: Option<&str>) {
        self.kill();
        let log = File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut command = self.command(&["serve"]);
        if let Some(faults) = faults {
            command.env("POLICAST_FAULTS", faults);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(command.spawn().expect("policast starts"));
        self.starts += 1;
    }

    /// Starts it again where it has ended; true where it had.
    pub fn revive(&mut self) -> bool {
        let ended = self.child.as_mut().is_none_or(|child| child.try_wait().expect("a child").is_some());
        if ended && !self.is_held {
            self.start(None);
        }
        ended
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be gone already.
            let _ = child.kill();
            child.wait().expect("a child");
        }
    }

    pub fn freeze(&mut self) {
        self.is_held = true;
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&mut self) {
        self.is_held = false;
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), signal);
        }
    }

    pub fn cut(&self, cut: bool) {
        for way in &self.ways {
            *way.lock().expect("a way") = cut;
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A way to a database that listens on a socket in the file system; what cuts it.
pub async fn way_to_database(at: SocketAddr, socket: PathBuf, running: &mut JoinSet<()>) -> Arc<Mutex<bool>> {
    let listener = TcpListener::bind(at).await.expect("a port");
    let is_cut = Arc::new(Mutex::new(false));
    let cut = is_cut.clone();
    running.spawn(async move {
        let mut lines = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            lines.spawn(carry(client, socket.clone(), cut.clone()));
            while lines.try_join_next().is_some() {}
        }
    });
    is_cut
}

async fn carry(mut client: TcpStream, socket: PathBuf, cut: Arc<Mutex<bool>>) {
    let is_cut = || *cut.lock().expect("a way");
    if is_cut() {
        return;
    }
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let broken = async {
        while !is_cut() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        () = broken => {}
    }
}
