//! The log of the server.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::PathBuf,
};

use anyhow::Result;

use super::Server;

/// How large the log may be before it is put aside at a start. A start writes a few lines, so this holds
/// years of them.
const LOG_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// How many lines of the log an error shows.
const LINES_MAX: usize = 15;

impl Server {
    /// Renames a log that has become large, and returns the length of the one that goes on.
    pub(super) fn put_aside_a_large_log(&self) -> Result<u64> {
        let length = fs::metadata(self.log()).map_or(0, |metadata| metadata.len());
        if length <= LOG_BYTES_MAX {
            return Ok(length);
        }
        fs::rename(self.log(), self.directory.join("server.log.1"))?;
        Ok(0)
    }

    /// The file the server writes its log to.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// The last lines that the server wrote to its log after the byte `position`.
    pub(super) fn log_since(&self, position: u64) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(self.log())?;
            file.seek(SeekFrom::Start(position))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        match read() {
            Ok(text) => {
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
            }
            Err(error) => format!("(cannot be read: {error})"),
        }
    }
}
