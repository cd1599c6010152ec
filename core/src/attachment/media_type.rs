//! What a file is. Pure.

/// The types of the files that are kept, each with what the names of such files end with.
pub const MEDIA_TYPES: [(&str, &str); 9] = [
    ("application/pdf", "pdf"),
    ("application/msword", "doc"),
    (DOCX, "docx"),
    (ODT, "odt"),
    ("application/rtf", "rtf"),
    ("text/plain", "txt"),
    ("text/html", "html"),
    ("image/png", "png"),
    ("image/jpeg", "jpg"),
];

/// What files begin with, and what they are then.
const BY_FIRST_BYTES: [(&[u8], &str); 5] = [
    (b"%PDF-", "application/pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
    (b"{\\rtf", "application/rtf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
];

const ODT: &str = "application/vnd.oasis.opendocument.text";
/// The first member of the archive, which is not packed: `OpenDocument` 1.3, part 2, section 3.3.
const ODT_NAME: &[u8] = b"mimetypeapplication/vnd.oasis.opendocument.text";
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// How much of the head of a member stands before its name in a ZIP archive.
const ZIP_HEAD_BYTES: usize = 30;

/// What a file is: PDF, Word (both formats), `OpenDocument`, RTF, PNG, JPEG, HTML or plain text; `None` for
/// all else. What its first bytes say counts. Where they say nothing it must be text in UTF-8, and nothing
/// else by what the server `declared`: servers often call a file a stream of octets, and a script is a text
/// too.
pub fn media_type(bytes: &[u8], declared: Option<&str>) -> Option<&'static str> {
    if bytes.starts_with(b"PK\x03\x04") {
        return of_zip(bytes);
    }
    let known = BY_FIRST_BYTES.into_iter().find(|(first, _)| bytes.starts_with(first));
    known.map(|(_, media_type)| media_type).or_else(|| of_text(bytes, declared))
}

fn of_zip(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(ZIP_HEAD_BYTES..)?.starts_with(ODT_NAME) {
        return Some(ODT);
    }
    // The names of members are not packed.
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    (has(b"[Content_Types].xml") && has(b"word/")).then_some(DOCX)
}

fn of_text(bytes: &[u8], declared: Option<&str>) -> Option<&'static str> {
    let declared =
        declared.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    let is_binary = |c: char| c.is_control() && !['\t', '\n', '\r', '\u{c}'].contains(&c);
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.trim().is_empty() && !text.contains(is_binary))?;
    let begins = |tag: &str| {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        text.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag))
    };
    let is_html = begins("<!doctype html") || begins("<html");
    match declared.as_str() {
        "text/html" => Some("text/html"),
        "" | "text/plain" | "application/octet-stream" | "binary/octet-stream" if is_html => {
            Some("text/html")
        }
        "" | "text/plain" | "application/octet-stream" | "binary/octet-stream" => Some("text/plain"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(name: &str, rest: &str) -> Vec<u8> {
        [b"PK\x03\x04".as_slice(), &[0; 26], name.as_bytes(), rest.as_bytes()].concat()
    }

    #[test]
    fn the_first_bytes_count() {
        for (bytes, expected) in [
            (b"%PDF-1.7 ..".to_vec(), "application/pdf"),
            (b"{\\rtf1 ..".to_vec(), "application/rtf"),
            (b"\xff\xd8\xff\xe0".to_vec(), "image/jpeg"),
            (zip("mimetype", "application/vnd.oasis.opendocument.text"), ODT),
            (zip("[Content_Types].xml", "PK\x03\x04word/document.xml"), DOCX),
        ] {
            for declared in [None, Some("application/octet-stream"), Some("text/html"), Some("image/svg+xml")]
            {
                assert_eq!(media_type(&bytes, declared), Some(expected), "{declared:?}");
            }
        }
    }

    #[test]
    fn text_is_what_it_is_said_to_be() {
        for (text, declared, expected) in [
            ("Ada", None, Some("text/plain")),
            ("Ada", Some("text/plain; charset=utf-8"), Some("text/plain")),
            ("\u{feff} <!DOCTYPE HTML><p>", Some("application/octet-stream"), Some("text/html")),
            ("<p>", Some("Text/HTML"), Some("text/html")),
            ("Ada", Some("application/pdf"), None),
            ("alert(1)", Some("text/javascript"), None),
            ("<svg>", Some("image/svg+xml"), None),
            ("Ada\0", None, None),
            (" \n", Some("text/plain"), None),
            ("", None, None),
        ] {
            assert_eq!(media_type(text.as_bytes(), declared), expected, "{text:?} {declared:?}");
        }
    }

    #[test]
    fn nothing_else_is_kept() {
        for bytes in [
            b"MZ\x90".as_slice(),
            b"\x7fELF",
            b"GIF89a\xff",
            b"PK\x03\x04",
            &zip("evil.exe", "MZ"),
            b"\xff\xfeA\0",
        ] {
            assert_eq!(media_type(bytes, Some("application/octet-stream")), None, "{bytes:?}");
        }
    }
}
