use std::fmt;

/// A statement as the proxy knows it: the same for each execution of the same SQL text, whatever its
/// parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Statement {
    /// What it does, in short, for people: the tables that it writes to, or reads.
    pub summary: String,
    /// Its first parameter, where that is a word such as the name of a queue.
    pub subject: Option<String>,
    /// Tells texts apart that are summed up in the same way.
    pub digest: u16,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary)?;
        if let Some(subject) = &self.subject {
            write!(f, " '{subject}'")?;
        }
        write!(f, " [{:04x}]", self.digest)
    }
}

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// The statement never reaches the server.
    Before,
    /// The server has executed it, and the answer never reaches the worker.
    After,
}

/// What happens to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Blow {
    /// The process is killed. Another one finishes its work.
    Abort,
    /// The connection of the statement is closed at both ends. The worker lives and must finish by itself.
    Cut,
    /// All connections of the worker are closed at once, its presence too; new ones succeed. It must finish
    /// by itself.
    Outage,
    /// The connection of the statement stays open and nothing passes any more, as behind a firewall that has
    /// forgotten it. The worker lives and must finish by itself. Not among the points unless it is asked for.
    Silence,
}

/// A place in a scenario, and what happens there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Point {
    /// The statement.
    pub statement: Statement,
    /// Which execution of the statement by this process, from 1.
    pub occurrence: u32,
    /// Before or after it.
    pub moment: Moment,
    /// What happens.
    pub blow: Blow,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blow = match self.blow {
            Blow::Abort => "abort",
            Blow::Cut => "cut",
            Blow::Outage => "outage",
            Blow::Silence => "silence",
        };
        let moment = match self.moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        write!(f, "{blow:7} {moment:6} #{} of {}", self.occurrence, self.statement)
    }
}
