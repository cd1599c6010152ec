use crate::{Breakage, Face, breakage, json::write_number, json_resumes, people};

/// One item of a page as JSON, byte for byte as every page that holds it has it. `index` counts from 0.
///
/// Its first key is `id`, the string `"<seed>-<index>"`. With `errors`, the item may be broken
/// ([`breakage`]).
pub fn item(face: Face, seed: u64, index: u64, errors: bool) -> String {
    let mut out = Vec::new();
    write_item(&mut out, face, seed, index, errors);
    String::from_utf8(out).expect("items are put together from strings")
}

/// Writes what [`item`] returns.
pub(crate) fn write_item(out: &mut Vec<u8>, face: Face, seed: u64, index: u64, errors: bool) {
    let broken = if errors { breakage(seed, index) } else { None };
    if broken == Some(Breakage::NotAnObject) {
        out.extend_from_slice(br#""candidate "#);
        write_id(out, seed, index);
        out.extend_from_slice(br#" was archived""#);
        return;
    }
    out.push(b'{');
    match broken {
        Some(Breakage::IdMissing) => {}
        Some(Breakage::IdNull) => out.extend_from_slice(br#""id":null,"#),
        _ => {
            out.extend_from_slice(br#""id":""#);
            write_id(out, seed, index);
            out.extend_from_slice(br#"","#);
        }
    }
    match face {
        Face::TestData => people::write_fields(out, seed, index, broken),
        Face::JsonResumes => json_resumes::write_fields(out, seed, index, broken),
    }
    out.push(b'}');
}

fn write_id(out: &mut Vec<u8>, seed: u64, index: u64) {
    write_number(out, seed);
    out.push(b'-');
    write_number(out, index);
}
