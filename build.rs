//! Makes bindings of the installed libsrt, which has no Rust crate that is kept up: `libsrt-sys` is of 2021.

use std::error::Error;
use std::path::Path;

const HEADER: &str = "#define _GNU_SOURCE\n#include <pthread.h>\n#include <srt/srt.h>\n";

/// What the wrapper calls, and nothing else of libsrt's own.
const FUNCTIONS: &str = "srt_(startup|setloglevel|create_socket|bind_acquire|setsockflag|getsockflag|listen|listen_callback|\
     setrejectreason|accept|close|recvmsg2|getsockstate|getlasterror|getlasterror_str)|\
     pthread_(attr_init|attr_setstacksize|setattr_default_np)";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let library = pkg_config::Config::new().atleast_version("1.5").probe("srt")?;
    let includes = library.include_paths.iter().map(|path| format!("-I{}", path.display()));
    let bindings = bindgen::Builder::default()
        .header_contents("libsrt.h", HEADER)
        .clang_args(includes)
        .allowlist_function(FUNCTIONS)
        .allowlist_var("SRT_LIVE_MAX_PLSIZE")
        .allowlist_type("SRT_ERRNO")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .blocklist_type("sockaddr.*|sa_family_t")
        .raw_line("use nix::libc::{sockaddr, sockaddr_storage};")
        .derive_debug(false)
        .generate_comments(false)
        .layout_tests(false)
        .merge_extern_blocks(true)
        .generate()?;
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?;
    Ok(bindings.write_to_file(Path::new(&folder).join("libsrt.rs"))?)
}
