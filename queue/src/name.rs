//! What may be the name of a schedule, a queue or a kind.

/// The longest name.
pub const MAX_NAME_CHARS: usize = 128;

/// Whether a text can be a name: 1 to [`MAX_NAME_CHARS`] characters, without NUL, which Postgres has not, and
/// more than dots and slashes, since names stand in paths and clients drop `.` and `..` from those.
pub fn is_name(text: &str) -> bool {
    // What is empty has nothing but dots and slashes, too.
    text.chars().count() <= MAX_NAME_CHARS
        && !text.contains('\0')
        && !text.chars().all(|c| c == '.' || c == '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_a_path() {
        let long = "☃".repeat(MAX_NAME_CHARS);
        for name in ["a", "a/b", "..a", "-", " ", "%2E", long.as_str()] {
            assert!(is_name(name), "{name:?}");
        }
        let too_long = format!("{long}x");
        for no_name in ["", ".", "..", "...", "/", "//", "../..", "a\0b", too_long.as_str()] {
            assert!(!is_name(no_name), "{no_name:?}");
        }
    }
}
