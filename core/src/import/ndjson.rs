use std::io::{self, BufRead, Read};

use super::{
    fault::Place,
    found::{Found, MAX_ITEM_BYTES},
};

/// Reads an object from each line. Blank lines are nothing.
pub(super) fn read(file: &mut impl BufRead, found: &mut Found<'_>) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        file.by_ref().take(MAX_ITEM_BYTES as u64 + 2).read_until(b'\n', &mut line)?;
        if line.is_empty() || found.is_over() {
            break;
        }
        let item = line.trim_ascii();
        let before = line.len() - line.trim_ascii_start().len();
        let place = Place { line: number, column: before as u64 + 1 };
        if line.len() > MAX_ITEM_BYTES + 1 && !line.ends_with(b"\n") {
            found.too_long(place);
            file.skip_until(b'\n')?;
        } else if !item.is_empty() {
            found.item(place, item);
        }
    }
    Ok(())
}
