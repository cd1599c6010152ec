use std::collections::HashMap;

use super::{message::Message, name};
use crate::Statement;

/// The types whose values are text in any format: `pg_type.oid` of `text` and `varchar`.
const TEXT_TYPES: [i32; 2] = [25, 1043];

/// What one session says: which statements it has prepared and bound, and which it executes.
#[derive(Debug, Default)]
pub(crate) struct Dialogue {
    /// By name; the empty name is the unnamed statement.
    prepared: HashMap<String, Prepared>,
    /// By the name of the portal.
    bound: HashMap<String, Statement>,
    /// Executed since the last look.
    executed: Vec<Statement>,
    /// The last one before those.
    last: Option<Statement>,
}

#[derive(Debug)]
struct Prepared {
    sql: String,
    begins_with_text: bool,
}

impl Dialogue {
    /// Notes a message of the worker. One that cannot be read is left to the server to refuse.
    pub(crate) fn hear(&mut self, message: &Message) {
        let _ = match message.kind {
            b'P' => self.hear_parse(message),
            b'B' => self.hear_bind(message),
            b'E' => self.hear_execute(message),
            b'Q' => self.hear_query(message),
            _ => None,
        };
    }

    /// What is executed by what was heard since the last look: one statement, or several sent as one.
    pub(crate) fn take_statement(&mut self) -> Option<Statement> {
        let mut executed = std::mem::take(&mut self.executed).into_iter();
        let mut statement = executed.next()?;
        for another in executed {
            statement.summary = format!("{}; {}", statement.summary, another.summary);
            statement.digest = statement.digest.rotate_left(1) ^ another.digest;
        }
        let ends_transaction = matches!(statement.summary.as_str(), "commit" | "rollback");
        match &self.last {
            Some(last) if ends_transaction => statement = name::end_of_transaction(&statement, last),
            _ => {}
        }
        self.last = Some(statement.clone());
        Some(statement)
    }

    fn hear_parse(&mut self, message: &Message) -> Option<()> {
        let mut fields = message.fields();
        let (name, sql) = (fields.text()?, fields.text()?);
        let begins_with_text =
            fields.int16()? > 0 && fields.int32().is_some_and(|oid| TEXT_TYPES.contains(&oid));
        self.prepared.insert(name.to_owned(), Prepared { sql: sql.to_owned(), begins_with_text });
        Some(())
    }

    fn hear_bind(&mut self, message: &Message) -> Option<()> {
        let mut fields = message.fields();
        let (portal, name) = (fields.text()?, fields.text()?);
        let prepared = self.prepared.get(name)?;
        let mut first = None;
        if prepared.begins_with_text {
            for _ in 0..fields.int16()? {
                fields.int16()?;
            }
            if fields.int16()? > 0 {
                first = fields.value().and_then(|value| std::str::from_utf8(value).ok());
            }
        }
        self.bound.insert(portal.to_owned(), name::statement(&prepared.sql, first));
        Some(())
    }

    fn hear_execute(&mut self, message: &Message) -> Option<()> {
        let portal = message.fields().text()?;
        self.executed.push(self.bound.get(portal)?.clone());
        Some(())
    }

    fn hear_query(&mut self, message: &Message) -> Option<()> {
        self.executed.push(name::statement(message.fields().text()?, None));
        Some(())
    }
}
