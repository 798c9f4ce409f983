//! What `build.rs` made of libsrt's header.
#![expect(
    dead_code,
    non_camel_case_types,
    unsafe_code,
    clippy::upper_case_acronyms,
    reason = "generated: C's names, and every constant of an enumeration"
)]

include!(concat!(env!("OUT_DIR"), "/libsrt.rs"));
