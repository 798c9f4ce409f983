//! nginx with its RTMP module in the foreground, on a folder and ports of its own, stopped by its process id.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::ports::Port;

/// Where Debian puts them; `/usr/sbin` is not in everybody's PATH.
const PROGRAM: &str = "/usr/sbin/nginx";
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
/// A start that takes longer is a hang.
const START: Duration = Duration::from_secs(20);

/// A running nginx; ended when dropped.
pub struct Nginx {
    child: Child,
    folder: TempDir,
    rtmp: u16,
    http: u16,
    _ports: [Port; 2],
}

impl Nginx {
    /// Starts one; `None`, and a line that says so, where it isn't installed.
    pub async fn start() -> Option<Self> {
        if !Path::new(PROGRAM).exists() || !Path::new(MODULE).exists() {
            println!("nginx-rtmp is not installed (tests/setup.sh bench): policast's figures alone\n");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("policast-nginx-").tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("web/hls")).expect("a folder");
        let ports = [(); 2].map(|()| Port::reserve());
        let [rtmp, http] = ports.each_ref().map(|port| port.number);
        let root = folder.path().display().to_string();
        fs::write(folder.path().join("nginx.conf"), configuration(&root, rtmp, http)).expect("a file");
        let log = File::create(folder.path().join("output.log")).expect("a log");
        let mut command = Command::new(PROGRAM);
        command.args(["-p", &root, "-c", &format!("{root}/nginx.conf"), "-e", &format!("{root}/error.log")]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let mut nginx = Self { child: command.spawn().expect("nginx"), folder, rtmp, http, _ports: ports };
        nginx.wait_until_ready().await;
        Some(nginx)
    }

    async fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.http)).is_err() {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < START, "nginx {ended:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where encoders send to.
    pub fn rtmp(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.rtmp)
    }

    /// The address of a file in `web`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.http)
    }

    /// The folder it serves; its own playlists are in `hls`.
    pub fn web(&self) -> PathBuf {
        self.folder.path().join("web")
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("output.log") + &read("error.log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        // It may be gone already; then there is nothing to end.
        let _ = kill(id, Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// One process: less memory than a master and a worker, and the files are the user's own.
fn configuration(root: &str, rtmp: u16, http: u16) -> String {
    format!(
        "daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
load_module {MODULE};
events {{ worker_connections 1024; }}
rtmp {{
    server {{
        listen 127.0.0.1:{rtmp};
        chunk_size 4096;
        application live {{
            live on;
            hls on;
            hls_path {root}/web/hls;
            hls_fragment 2s;
        }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    types {{
        text/html html;
        text/javascript js;
        application/vnd.apple.mpegurl m3u8;
        video/mp2t ts;
    }}
    server {{
        listen 127.0.0.1:{http};
        root {root}/web;
        add_header Cache-Control no-cache;
    }}
}}
"
    )
}
