//! The locks a child puts on itself before it reads a byte of the source.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::rehearsal;
pub use super::wire::Bounds;

/// One thing looked at, whether it is as it should be, and what to do where it isn't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    pub advice: String,
}

/// Descriptors a media child may have open: the standard three, the socket, and a few libav makes for itself.
pub(super) const MAX_DESCRIPTORS: u64 = 32;

/// What decoding, filtering and encoding in threads needs, and nothing that names a file, a host or a process.
const ALLOWED: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    // Answered with ENOSYS by a filter of its own, so that glibc falls back to `clone`, whose flags can be seen.
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// What a child that is handed sockets needs beside: none of these makes a socket or gives one another address.
const ALLOWED_WITH_SOCKETS: &[i64] = &[libc::SYS_getsockname, libc::SYS_getsockopt, libc::SYS_setsockopt];

/// What a child can reach beside its own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The parent, by the socket it was started with.
    Nothing,
    /// Whoever is at the other end of sockets that the parent hands it later, too.
    HandedSockets,
}

/// Closes everything the worker let slip but the standard three and the socket.
pub fn close_inherited(socket: &impl AsRawFd) -> Result<(), Error> {
    let open = std::fs::read_dir("/proc/self/fd").map_err(Error::Socket)?;
    let named = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let surplus: Vec<i32> = named.filter(|fd| *fd > 2 && *fd != socket.as_raw_fd()).collect();
    for fd in surplus {
        // The listing's own descriptor is in the list and closed by now.
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}

/// Whom a child becomes that was started as root: nobody, to whom no file belongs and whom `RLIMIT_NPROC` holds.
const NOBODY: u32 = 65_534;

/// Locks this process in: no privileges, resource limits, Landlock where the kernel has it, and the system call filter.
pub fn enter(bounds: Bounds, reach: Reach) -> Result<Vec<Check>, Error> {
    nix::sys::prctl::set_no_new_privs().map_err(refused("no_new_privs"))?;
    let privileges = give_up_privileges()?;
    nix::sys::prctl::set_dumpable(false).map_err(refused("dumpable"))?;
    limit(bounds)?;
    let landlock = shut_files_and_net().map_err(|error| lock("landlock", &error))?;
    filter_calls(reach).map_err(|error| lock("seccomp", &error))?;
    Ok(vec![privileges, landlock, passed("seccomp", true, "")])
}

/// Gives up every capability, for good, and root's name. Where the name can't be changed, as in a container that lacks
/// `CAP_SETUID`, root is left with what anybody may do.
fn give_up_privileges() -> Result<Check, Error> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // Beyond the kernel's last capability, or without the right to change the set: then nothing in it is ours.
        if remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
    if geteuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        let groups = setgroups(&[]).and_then(|()| setresgid(group, group, group));
        let _ = groups.and_then(|()| setresuid(user, user, user));
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let emptied = clear_ambient_capability_set().and_then(|()| set_capabilities(None, sets));
    emptied.map_err(|error| lock("capabilities", &error))?;
    let left = capabilities(None).map_err(|error| lock("capabilities", &error))?;
    Ok(passed("no capability is left", left == sets, "report this: a media process kept privileges"))
}

/// Tries what must not work in here; run in a child that has entered the sandbox.
pub(super) fn self_test(mut checks: Vec<Check>) -> Vec<Check> {
    let advice = "report this: a media process could reach out of its cage";
    checks.push(passed("no file can be opened", File::open("/etc/passwd").is_err(), advice));
    checks.push(passed("no file can be made", File::create("/tmp/policast-cage").is_err(), advice));
    checks.push(passed(
        "no host can be reached",
        TcpStream::connect(("127.0.0.1", 9)).is_err_and(|error| is_forbidden(&error)),
        advice,
    ));
    checks.push(passed(
        "no socket can be made",
        UdpSocket::bind("127.0.0.1:0").is_err_and(|error| is_forbidden(&error)),
        advice,
    ));
    checks.push(passed("no program can be started", Command::new("/bin/true").status().is_err(), advice));
    let threads = thread::Builder::new().spawn(|| 1).is_ok_and(|handle| handle.join().is_ok());
    checks.push(passed("threads still work", threads, "the system call filter is too tight for this libc"));
    checks.push(worked("video is encoded", rehearsal::video()));
    checks.push(worked("sound is encoded", rehearsal::audio()));
    checks
}

fn worked(name: &str, bytes: Result<usize, Error>) -> Check {
    let advice = match &bytes {
        Ok(_) => "FFmpeg gave nothing; install its Debian packages with libx264".to_owned(),
        Err(error) => format!("{error}; install FFmpeg's Debian packages with libx264"),
    };
    passed(name, bytes.is_ok_and(|bytes| bytes > 0), &advice)
}

fn is_forbidden(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

fn limit(bounds: Bounds) -> Result<(), Error> {
    let limits = [
        (Resource::RLIMIT_AS, bounds.memory_bytes),
        (Resource::RLIMIT_CPU, bounds.cpu_seconds),
        (Resource::RLIMIT_NPROC, bounds.tasks),
        (Resource::RLIMIT_NOFILE, bounds.descriptors),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, most) in limits {
        // At the hard limit the kernel kills without a word; at the soft one of CPU time it says why.
        let hard = if resource == Resource::RLIMIT_CPU { most.saturating_add(1) } else { most };
        setrlimit(resource, most, hard).map_err(refused("rlimit"))?;
    }
    Ok(())
}

fn shut_files_and_net() -> Result<Check, landlock::RulesetError> {
    let newest = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .restrict_self()?;
    let advice = "this kernel has no Landlock (Linux 5.13 with `landlock` in `lsm=`); the call filter alone holds the cage";
    Ok(passed("landlock", status.ruleset != RulesetStatus::NotEnforced, advice))
}

fn filter_calls(reach: Reach) -> Result<(), seccompiler::Error> {
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    install(no_clone3, SeccompAction::Allow, errno(libc::ENOSYS))?;
    install(allowed(reach)?, errno(libc::EPERM), SeccompAction::Allow)
}

fn install(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<(), seccompiler::Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    let program: BpfProgram = SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()?;
    seccompiler::apply_filter_all_threads(&program)
}

fn allowed(reach: Reach) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    let more = if reach == Reach::HandedSockets { ALLOWED_WITH_SOCKETS } else { &[] };
    let calls = ALLOWED.iter().chain(more);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = calls.map(|call| (*call, vec![])).collect();
    let (thread, exec) = (number(libc::CLONE_THREAD), number(libc::PROT_EXEC));
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_clone, vec![rule(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    rules.insert(libc::SYS_mmap, vec![rule(2, SeccompCmpOp::MaskedEq(exec), 0)?]);
    rules.insert(libc::SYS_mprotect, vec![rule(2, SeccompCmpOp::MaskedEq(exec), 0)?]);
    rules.insert(libc::SYS_prctl, vec![rule(0, SeccompCmpOp::Eq, number(libc::PR_SET_NAME))?]);
    // `abort` sends itself a signal.
    rules.insert(libc::SYS_tgkill, vec![rule(0, SeccompCmpOp::Eq, own)?]);
    // Reading a limit is fine, raising one is not.
    rules.insert(libc::SYS_prlimit64, vec![null(2)?]);
    let fcntls = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC];
    let fcntls = fcntls.map(|command| rule(1, SeccompCmpOp::Eq, number(command)));
    rules.insert(libc::SYS_fcntl, fcntls.into_iter().collect::<Result<_, _>>()?);
    Ok(rules)
}

/// Compares an `int` argument: its upper half in the register is anybody's.
fn rule(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn null(argument: u8) -> Result<SeccompRule, seccompiler::Error> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn number(constant: i32) -> u64 {
    u64::from(constant.unsigned_abs())
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

fn passed(name: &str, ok: bool, advice: &str) -> Check {
    Check { name: name.to_owned(), ok, advice: if ok { String::new() } else { advice.to_owned() } }
}

fn refused(lock: &'static str) -> impl Fn(nix::Error) -> Error {
    move |error| Error::Sandbox { lock, reason: error.to_string() }
}

fn lock(lock: &'static str, error: &dyn std::error::Error) -> Error {
    Error::Sandbox { lock, reason: error.to_string() }
}
