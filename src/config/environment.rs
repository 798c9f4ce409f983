//! The names in the environment: one that nobody reads is a setting somebody believes in.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use super::Refusal;

/// What every setting's name begins with.
pub(super) const PREFIX: &str = "POLICAST_";
/// What the tests and a debug build read.
const RESERVED: [&str; 2] = ["POLICAST_FAULTS", "POLICAST_CLOCK_SKEW_MS"];
/// And what the tests' own programs are told by.
const RESERVED_PREFIXES: [&str; 3] = ["POLICAST_CHAOS_", "POLICAST_CORPUS", "POLICAST_TEST_"];
/// Names further apart than this are no slip of the pen.
const ALIKE: f64 = 0.8;

/// Refuses variables that look like settings and are none, and settings without a value.
pub fn check_names<'a>(
    variables: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
    command: &clap::Command,
) -> Result<(), Refusal> {
    let known = names(command);
    let (mut unknown, mut empty) = (Vec::new(), Vec::new());
    for (name, value) in variables {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if known.contains(&*name) {
            if value.is_empty() {
                empty.push(name.into_owned());
            }
        } else if name.starts_with(PREFIX) && !is_reserved(&name) && !is_service_link(&name, &value) {
            unknown.push((name.to_string(), nearest(&name, &known)));
        }
    }
    unknown.sort();
    empty.sort();
    if !unknown.is_empty() {
        return Err(Refusal::UnknownVariables(unknown));
    }
    if empty.is_empty() { Ok(()) } else { Err(Refusal::Empty(empty.join(", "))) }
}

/// Every variable that one of the commands reads.
pub(super) fn names(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_env());
    let own = own.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(names)).collect()
}

/// The name that was probably meant.
pub(super) fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_uppercase();
    let (name, likeness) = known
        .iter()
        .map(|candidate| (candidate, strsim::jaro_winkler(&own(candidate), &own(name))))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (likeness >= ALIKE).then(|| name.clone())
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Kubernetes tells each container of every service this way: of one that is called `policast`, or `policast-s3`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_link = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let (_, of_port) = name.rsplit_once("_PORT_").unwrap_or_default();
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_link)
        || of_port.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn check(variables: &[(&str, &str)]) -> Result<(), String> {
        let arg = |name: &'static str| Arg::new(name).long(name).env(name);
        let serve = Command::new("serve").arg(arg("POLICAST_PUBLIC_URL")).arg(arg("POLICAST_LISTEN"));
        let command = Command::new("policast").arg(arg("POLICAST_LOG")).subcommand(serve);
        let variables = variables.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        check_names(variables, &command).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_nobody_reads_is_refused_with_the_one_that_was_meant() {
        let told = check(&[("POLICAST_PUBLICURL", "x"), ("POLICAST_COLOUR", "red"), ("PATH", "")]);
        insta::assert_snapshot!(told.expect_err("refused"), @"there is no setting POLICAST_COLOUR, POLICAST_PUBLICURL (POLICAST_PUBLIC_URL is meant?): unset what is not meant for policast; `policast config` lists every setting");
        assert_eq!(check(&[("POLICAST_LOG", "info"), ("POLICAST_LISTEN", "x")]), Ok(()));
    }

    #[test]
    fn a_setting_without_a_value_is_refused() {
        let told = check(&[("POLICAST_LISTEN", "")]);
        insta::assert_snapshot!(told.expect_err("refused"), @"POLICAST_LISTEN is set and empty: give it a value, or unset it");
    }

    #[test]
    fn what_tests_are_told_by_and_what_kubernetes_tells_of_a_service_are_no_settings() {
        let others = [
            ("POLICAST_FAULTS", "commit@1"),
            ("POLICAST_CHAOS_SEED", "1"),
            ("POLICAST_CORPUS", "x"),
            ("POLICAST_TEST_WEED", "x"),
            ("POLICAST_SERVICE_HOST", "10.0.0.1"),
            ("POLICAST_SERVICE_PORT_HTTP", "80"),
            ("POLICAST_S3_SERVICE_PORT", "80"),
            ("POLICAST_PORT", "tcp://10.0.0.1:80"),
            ("POLICAST_PORT_80_TCP_ADDR", "10.0.0.1"),
        ];
        assert_eq!(check(&others), Ok(()));
        assert!(check(&[("POLICAST_PORT", "8080")]).is_err());
    }
}
