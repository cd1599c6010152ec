//! Standard output, at the other end of which somebody may stop reading: `resume-service demo | head`.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

/// Prints a line to standard output; see [`print`].
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::output::print(format_args!("{}\n", format_args!($($argument)*)))
    };
}
pub(crate) use say;

/// Prints to standard output. When nobody reads that any more, nothing is printed and the command goes on to
/// its end: it has a database to stop, or a change to finish.
///
/// # Panics
/// When the output fails otherwise, such as on a full disk.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    match io::stdout().lock().write_fmt(text) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => panic!("writing to standard output failed: {error}"),
    }
}
