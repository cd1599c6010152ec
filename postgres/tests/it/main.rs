//! Tests against real servers and real processes.

mod databases;
