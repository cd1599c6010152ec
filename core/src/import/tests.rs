use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{parsing::Format, source::definition::Definition};

/// A source of files with its ids there.
fn source(id: &str) -> Definition {
    let mut definition = Definition::original("files", "", "", 1).of_format(Format::Mapped);
    definition.list.id = id.to_owned();
    definition
}

/// A file of which each read gives no more than some bytes, wherever that cuts it.
struct Pieces(Cursor<Vec<u8>>, usize);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

impl Seek for Pieces {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

/// What a file comes to whose bytes come in pieces of this many.
fn read_in(
    pieces: usize,
    container: Container,
    source: &Definition,
    file: &[u8],
) -> Result<Vec<String>, String> {
    let mut file = BufReader::new(Pieces(Cursor::new(file.to_vec()), pieces));
    let mut items = Vec::new();
    let take = |item: &[u8]| items.push(String::from_utf8(item.to_vec()).unwrap());
    read_items(container, source, &mut file, take).map_err(|error| error.to_string())?;
    Ok(items)
}

fn read(container: Container, file: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
    let [whole, bytes] =
        [usize::MAX, 1].map(|pieces| read_in(pieces, container, &source("/id"), file.as_ref()));
    assert_eq!(whole, bytes, "wherever it is cut");
    whole
}

#[track_caller]
fn gives(container: Container, file: impl AsRef<[u8]>, expected: &[&str]) {
    assert_eq!(read(container, file).unwrap(), expected);
}

#[track_caller]
fn refuses(container: Container, file: impl AsRef<[u8]>, expected: &str) {
    let error = read(container, file).unwrap_err();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn json_is_a_list_or_one_object() {
    use Container::Json;
    gives(Json, r#"[{"id":1}]"#, &[r#"{"id":1}"#]);
    gives(
        Json,
        " [ {\"a\" : [1, {\"b\":\"],}\\\"\\\\\"}] } ,\n{}\n] \n",
        &["{\"a\" : [1, {\"b\":\"],}\\\"\\\\\"}] }", "{}"],
    );
    gives(Json, "\n{\"id\":\n 1} ", &["{\"id\":\n 1}"]);
    for nothing in ["", " \n", "[]", "[ ]", "\u{feff}", "\u{feff}[]"] {
        gives(Json, nothing, &[]);
    }
    gives(Json, "\u{feff}[{}]", &["{}"]);
}

#[test]
fn json_that_is_wrong_is_told_with_its_place() {
    use Container::Json;
    refuses(Json, "x", "line 1, column 1: a file of JSON begins with");
    refuses(Json, "[{}", "line 1, column 4: the file ends in the middle of its list");
    refuses(Json, "[{},", "line 1, column 5: the file ends in the middle of its list");
    refuses(Json, "{\n", "line 2, column 1: the file ends in the middle of an object");
    refuses(Json, "{}\n{}", "line 2, column 1: more follows behind the end of the JSON; objects");
    refuses(Json, "[{}] x", "line 1, column 6: more follows");
    refuses(Json, "[{},]", "line 1, column 5: no JSON: trailing comma");
    refuses(Json, "[,{}]", "line 1, column 2: no JSON: expected value");
    refuses(Json, "[{},,{}]", "line 1, column 5: no JSON: expected value");
    refuses(Json, "[{},\n [1], 7, \"a,]\"]", "line 2, column 2: a list: an item is an object");
    refuses(Json, "[{\"a\":1,\n\"b\":}]", "line 2, column 5: no JSON: expected value");
    refuses(Json, "\n [{\"a\" 1}]", "line 2, column 8: no JSON: expected `:`");
    refuses(
        Json,
        "[{}, 7, [1]]",
        "line 1, column 6: 7: an item is an object, { .. }; line 1, column 9: a list",
    );
    refuses(Json, "[}]", "line 1, column 2: no JSON");
    refuses(Json, "{\"a\":\n]}", "line 2, column 1: no JSON: expected value");
    refuses(Json, b"[{\"a\":\"\xe9\"}]", "line 1, column 8: the byte 0xE9 is not UTF-8; the file may be");
    refuses(Json, b"\xff\xfe[\0", "line 1, column 1: the file is UTF-16");
}

#[test]
fn ndjson_is_an_item_a_line() {
    use Container::Ndjson;
    gives(
        Ndjson,
        "{\"id\":1}\r\n\n  {\"id\": 2} \n\t\n{\"id\":3}",
        &["{\"id\":1}", "{\"id\": 2}", "{\"id\":3}"],
    );
    gives(Ndjson, "\u{feff}{}\n", &["{}"]);
    gives(Ndjson, "\n \n", &[]);
    refuses(Ndjson, "{}\n{\"a\":\n1}", "line 2, column 5: no JSON: EOF while parsing a value; line 3");
    refuses(Ndjson, "{}\n  [1]", "line 2, column 3: a list");
    refuses(Ndjson, "{} {}", "line 1, column 4: no JSON: trailing characters");
    refuses(Ndjson, b"{}\n{\"a\":\"\xfc\"}", "line 2, column 7: the byte 0xFC is not UTF-8");
}

#[test]
fn a_row_is_an_object_of_its_cells() {
    use Container::Csv;
    gives(
        Csv,
        "id,Full Name,skills\n1,\"Ada \"\"L\"\" Lovelace\",\"React; SQL,\nGo\"\r\n2,,\r3, x ,\"\"\n",
        &[
            r#"{"id":"1","Full Name":"Ada \"L\" Lovelace","skills":"React; SQL,\nGo"}"#,
            r#"{"id":"2"}"#,
            r#"{"id":"3","Full Name":" x "}"#,
        ],
    );
    gives(Csv, "\u{feff}id;name\n1;a,b\n", &[r#"{"id":"1","name":"a,b"}"#]);
    gives(Csv, "id\tname\n1\ta\"b", &[r#"{"id":"1","name":"a\"b"}"#]);
    gives(Csv, "\n\n id ,,\n,,\n1,x,\n\n", &[r#"{"id":"1","column 2":"x"}"#]);
    gives(Csv, "id|a\r1|x\r\r2|y", &[r#"{"id":"1","a":"x"}"#, r#"{"id":"2","a":"y"}"#]);
    for first in ["sep=;\n", "\n\"SEP=;\"\r\n", "\u{feff}sep=;\r"] {
        gives(Csv, format!("{first}id;a,b,c,d\n1;x\n"), &[r#"{"id":"1","a,b,c,d":"x"}"#]);
    }
    gives(Csv, "sep=\t\nid\ta;b;c\n1\tx\n", &[r#"{"id":"1","a;b;c":"x"}"#]);
    gives(Csv, "id,a\n1,ä\u{0}", &["{\"id\":\"1\",\"a\":\"ä\\u0000\"}"]);
    for nothing in ["", "\n", "id", "id,a\n", "id\n\n\n", "\"id\""] {
        gives(Csv, nothing, &[]);
    }
}

#[test]
fn a_table_that_is_wrong_is_told_with_its_place() {
    use Container::Csv;
    refuses(
        Csv,
        "id,a\n1\n2,b\n3,c,d\n",
        "line 2, column 1: 1 cells, and the first row has 2: write one for each column; line 4",
    );
    refuses(Csv, "name,mail\n", "line 1, column 1: no column is named \"id\", which is where the definition");
    refuses(Csv, "id,a,a\n", "line 1, column 1: two columns are named \"a\"");
    refuses(Csv, "id,a\n1,\"x\n2,b\n", "line 2, column 1: a quote is opened in this row and closed nowhere");
    refuses(Csv, "id,a\n1,\"x\ny\"\n\n\n2\n", "line 6, column 1: 1 cells");
    refuses(Csv, "id,a\r\n1,\"x\r\ny\"\r\n\r\n2\r\n", "line 5, column 1: 1 cells");
    refuses(Csv, "sep=;\nid;a\n1\n", "line 3, column 1: 1 cells");
    refuses(
        Csv,
        b"id,a\n1,b\n2,Ren\xe9\n",
        "line 3, column 6: the byte 0xE9 is not UTF-8; the file may be Windows-1252",
    );
    refuses(Csv, b"id,a,b\n1,\xc3,\xa4\n", "line 2, column 3: the byte 0xC3");
    refuses(Csv, b"id,a\n1,\xc3", "line 2, column 3: the byte 0xC3");
    refuses(Csv, format!("id{}", ",a".repeat(2_000)), "line 1, column 1: 2001 columns, the most is 2000");
    refuses(Csv, format!("id{}", ",a".repeat(9_000)), "line 1, column 1: more than 2000 columns");
}

#[test]
fn the_id_of_a_row_is_in_the_column_of_the_definition() {
    for (id, name) in [("/Candidate ID", "Candidate ID"), ("/a~1b~0", "a/b~")] {
        let file = format!("x,{name}\n1,7\n");
        let items = read_in(3, Container::Csv, &source(id), file.as_bytes()).unwrap();
        let stored = document(&source(id), items[0].as_bytes());
        assert_eq!((stored.external_id.as_deref(), stored.body.as_slice()), (Some("7"), items[0].as_bytes()));
    }
    let definition = Definition::original("files", "", "", 1);
    assert_eq!(document(&definition, br#"{"id": 7}"#).external_id.as_deref(), Some("7"));
    for (item, id) in [
        (r#"{"id": 7}"#, Some("7")),
        (r#"{"id": "a"}"#, Some("a")),
        (r#"{"id": 123456789012345678901234567890}"#, Some("123456789012345678901234567890")),
        (r#"{"id": 1.0}"#, Some("1.0")),
        (r#"{"id": {}}"#, None),
        ("{}", None),
    ] {
        assert_eq!(document(&source("/id"), item.as_bytes()).external_id.as_deref(), id, "{item}");
    }
}

#[test]
fn an_item_has_a_most() {
    let long = "x".repeat(MAX_ITEM_BYTES);
    let expected = "line 2, column 1: an item of more than 4194304 bytes";
    for (container, file) in [
        (Container::Json, format!("[\n{{\"id\":\"{long}\"}}, {{}}]")),
        (Container::Ndjson, format!("{{}}\n{{\"id\":\"{long}\"}}\n{{}}\n")),
        (Container::Csv, format!("id\n{long}x\n2\n")),
        (Container::Csv, format!("id\n\"{}\n2\n", "\n".repeat(3 * MAX_ITEM_BYTES))),
    ] {
        let error = read_in(100_000, container, &source("/id"), file.as_bytes()).unwrap_err();
        assert!(error.starts_with(expected) && error.matches(':').count() == 2, "{error}");
    }
}

/// A row of three bytes is an item with all the names of the first row: the items of a small piece are never
/// there together.
#[test]
fn a_small_table_with_long_names_is_no_danger() {
    let table = |name_bytes: usize| format!("{},id\n", "n".repeat(name_bytes));
    let piece = "x,\n".repeat(256 * 1024 / 3);
    let (mut count, mut longest) = (0, 0);
    let take = |item: &[u8]| {
        count += 1;
        longest = longest.max(item.len());
    };
    let mut file = Cursor::new(table(20_000) + &piece);
    read_items(Container::Csv, &source("/id"), &mut file, take).unwrap();
    assert_eq!((count, longest), (87_381, 20_000 + r#"{"":"x"}"#.len()));

    let most = 64 * 1024 - r#""""id""#.len();
    gives(Container::Csv, table(most), &[]);
    let expected = "line 1, column 1: the names of the columns have 65537 bytes together, the most is 65536";
    refuses(Container::Csv, table(most + 1), expected);
    // Each of these is six bytes long as JSON.
    refuses(Container::Csv, format!("{},id\n", "\u{1}".repeat(20_000)), "line 1, column 1: the names of the");
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("{{\"id\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    for (container, file) in [(Container::Json, format!("[{deep}]")), (Container::Ndjson, deep.clone())] {
        let items = read_in(100_000, container, &source("/id"), file.as_bytes()).unwrap();
        assert_eq!(items, [deep.as_str()]);
        assert_eq!(document(&source("/id"), items[0].as_bytes()).external_id, None);
    }
    let open = "[".repeat(10_000_000);
    let error = read_in(100_000, Container::Json, &source("/id"), open.as_bytes()).unwrap_err();
    assert!(error.starts_with("line 1, column 2: an item of more than 4194304 bytes"), "{error}");
}

#[test]
fn not_every_fault_is_told() {
    let mut file = Cursor::new("x\n{}\n".repeat(1000));
    let take = |item: &[u8]| panic!("{item:?} is of no use");
    let error = read_items(Container::Ndjson, &source("/id"), &mut file, take).unwrap_err();
    let ReadError::Faults(faults) = error else { panic!("{error}") };
    assert_eq!(
        (faults.first.len(), faults.count),
        (MAX_FAULTS, MAX_FAULTS as u64 + 1),
        "then nobody looks on"
    );
}

/// A page that somebody has saved: the items are where the definition has them.
#[test]
fn one_object_may_be_an_answer_with_the_items_in_it() {
    let mut definition = source("/id");
    definition.list.items = "/data/people".to_owned();
    let read = |file: &str| read_in(7, Container::Json, &definition, file.as_bytes());
    let saved =
        "{\"data\": {\"people\": [\n{\"id\": \"p0\", \"a\": \"\\ud83d\"}, {\"id\": 1}]}, \"\\udc00\": 1e400}";
    assert_eq!(read(saved).unwrap(), ["{\"id\": \"p0\", \"a\": \"\\ud83d\"}", "{\"id\": 1}"]);
    assert_eq!(read(r#"{"data": {"people": []}}"#).unwrap(), [""; 0]);
    let error = read("{\"data\": {\"people\": [\n {}, 7]}}").unwrap_err();
    assert!(error.starts_with("line 2, column 6: 7: an item is an object"), "{error}");
    let error =
        read(r#" {"hits": {"a/b": [{"id": 1}]}, "more": [{"x": 1}], "results": [{"id": 2}]}"#).unwrap_err();
    assert!(
        error.starts_with("line 1, column 2: the file is one object without an id at \"/id\""),
        "{error}"
    );
    assert!(error.contains(r#""/hits/a~1b", "/results": save"#), "{error}");
    // With an id it is an item, and one without any such list is one that fails alone.
    for item in [r#"{"id": 1, "results": [{"id": 2}]}"#, r#"{"name": "nobody", "jobs": [{"title": "Dev"}]}"#]
    {
        assert_eq!(read(item).unwrap(), [item]);
    }
}

#[test]
fn containers_have_names() {
    assert_eq!(Container::ALL.map(Container::as_str), ["json", "ndjson", "csv"]);
    for container in Container::ALL {
        assert_eq!(Container::of_media_type(container.media_type()), Some(container));
        assert_eq!(Container::of_extension(&container.as_str().to_uppercase()), Some(container));
    }
    assert_eq!(Container::of_extension("jsonl"), Some(Container::Ndjson));
    assert!(Container::of_media_type("text/plain").is_none() && Container::of_extension("xml").is_none());
}

/// Text of what matters to the cutters, and some of what does not.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"{"[..],
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\"",
        b"\\",
        b"\n",
        b"\r\n",
        b" ",
        b";",
        b"id",
        b"{\"id\":1}",
        b"\"id\"",
        b"\xc3\xa4",
        b"\xff",
        b"\xef\xbb\xbf",
        b"null",
        b"1",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(("\\PC{0,12}", prop::option::of("[\\PC\n\",;\\\\]{0,12}")), 0..8).prop_map(|items| {
        let item = |(index, (name, more)): (usize, (String, Option<String>))| {
            json!({"id": index.to_string(), "name": name, "more": more})
        };
        items.into_iter().enumerate().map(item).collect()
    })
}

fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

proptest! {
    #[test]
    fn whatever_comes_is_the_same_however_it_is_cut(file in noise(), pieces in 1usize..9) {
        for container in Container::ALL {
            let whole = read_in(usize::MAX, container, &source("/id"), &file);
            prop_assert_eq!(&read_in(pieces, container, &source("/id"), &file), &whole);
            for item in whole.into_iter().flatten() {
                prop_assert!(serde_json::from_str::<Value>(&item).unwrap().is_object(), "{}", item);
            }
        }
    }

    #[test]
    fn what_was_written_is_read(items in values(), pieces in 1usize..9, pretty: bool) {
        let list = Value::from(items.clone());
        let json = if pretty { format!("{list:#}") } else { list.to_string() };
        let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
        for (container, file) in [(Container::Json, json), (Container::Ndjson, lines)] {
            let read = read_in(pieces, container, &source("/id"), file.as_bytes()).unwrap();
            let read: Vec<Value> = read.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
            prop_assert_eq!(&read, &items);
        }
        let cell = |value: &Value| quoted(value.as_str().unwrap_or_default());
        let row = |item: &Value| format!("{},{},{}\r\n", cell(&item["id"]), cell(&item["name"]), cell(&item["more"]));
        let table = format!("id,name,more\r\n{}", items.iter().map(row).collect::<String>());
        let read = read_in(pieces, Container::Csv, &source("/id"), table.as_bytes()).unwrap();
        prop_assert_eq!(read.len(), items.len());
        for (read, item) in read.iter().zip(&items) {
            let read: Value = serde_json::from_str(read).unwrap();
            for field in ["id", "name", "more"] {
                let written = item[field].as_str().filter(|text| !text.is_empty());
                prop_assert_eq!(read.get(field).and_then(Value::as_str), written);
            }
        }
    }
}
