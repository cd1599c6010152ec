//! The arguments of the bench programs.

use std::fmt;

use clap::ValueEnum;

/// Writes a value as it is given on the command line: for the `Display` that its default needs.
///
/// # Errors
/// The formatter's own.
pub fn write_name(value: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let name = value.to_possible_value().map(|value| value.get_name().to_owned());
    f.pad(&name.unwrap_or_default())
}
