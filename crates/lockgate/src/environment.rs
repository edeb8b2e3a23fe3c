//! What the process is told by its surroundings: environment variables, the user's name, the machine's.

/// An environment variable; unset, empty and not being text are all nothing.
pub fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is one of the two places that read the environment"
    )]
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

/// The machine's name.
pub fn host() -> String {
    let of_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = variable("HOSTNAME").or_else(of_kernel).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".into() } else { name.into() }
}

/// Who is named in the audit for what is done from this command line: `user@machine`.
pub fn author() -> String {
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".into());
    let author = format!("{user}@{}", host());
    author.chars().filter(char::is_ascii_graphic).take(AUTHOR_CHARS_MAX).collect()
}

/// Long enough for any user on any machine; it travels in a header.
const AUTHOR_CHARS_MAX: usize = 128;

/// What this process calls itself when it writes: `LOCKGATE_REPLICA`, or `machine-process`.
pub fn replica() -> String {
    variable("LOCKGATE_REPLICA").unwrap_or_else(|| format!("{}-{}", host(), std::process::id()))
}
