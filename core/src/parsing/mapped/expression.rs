//! One expression, compiled, and what it finds in an item.

use std::collections::BTreeMap;

use jmespath::{Context, DEFAULT_RUNTIME, ErrorReason, JmespathError, Rcvar, Variable, ast::Ast};
use serde_json::{Map, Value};

use super::growth;
use crate::parsing::limits::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_VALUES};

/// The longest expression. One that gathers seven fields of each job has some 200 bytes.
pub const MAX_EXPRESSION_BYTES: usize = 1_000;

/// The most characters of an expression that can nest it deeper: `. [ { ( | & ! < > = *`. The parser and the
/// evaluation recurse for each, and a thread has 2 MiB of stack.
pub const MAX_OPERATORS: usize = 100;

/// A compiled expression.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    text: String,
    ast: Ast,
}

/// Why an expression has no value for an item.
#[derive(Debug)]
pub(super) enum Failure {
    /// It asks for what the item does not allow, such as joining numbers.
    Expression(String),
    /// The mapping makes too much of the item.
    TooLarge(String),
    /// It nests what it finds too deep.
    TooDeep(String),
}

/// What may still come out of the expressions of one document: no more than a document may hold.
#[derive(Debug)]
pub(super) struct Room {
    values: usize,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { values: MAX_VALUES, bytes: MAX_DOCUMENT_BYTES }
    }
}

impl Expression {
    /// Compiles an expression; the error says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(format!("has {} bytes, the most is {MAX_EXPRESSION_BYTES}", text.len()));
        }
        let operators = text.bytes().filter(|byte| b".[{(|&!<>=*".contains(byte)).count();
        if operators > MAX_OPERATORS {
            return Err(format!("has {operators} operators, the most is {MAX_OPERATORS}"));
        }
        let ast = jmespath::parse(text).map_err(|error| explain(&error))?;
        growth::check(&ast)?;
        Ok(Self { text: text.to_owned(), ast })
    }

    /// What the expression finds in an item; null when it finds nothing.
    pub(super) fn find(&self, item: &Rcvar, room: &mut Room) -> Result<Value, Failure> {
        let mut context = Context::new(&self.text, &DEFAULT_RUNTIME);
        let found = jmespath::interpret(item, &self.ast, &mut context)
            .map_err(|error| Failure::Expression(explain(&error)))?;
        room.value(&found, 1)
    }
}

/// An error in one line; the library's own form shows the expression again, with a caret below.
fn explain(error: &JmespathError) -> String {
    let column = error.column + 1;
    match &error.reason {
        ErrorReason::Parse(reason) => format!("{reason} (column {column})"),
        ErrorReason::Runtime(reason) => format!("{reason} (column {column})"),
    }
}

/// A JSON value as the expressions see it. Recurses as deep as a document may be nested.
pub(super) fn variable(value: Value) -> Variable {
    match value {
        Value::Null => Variable::Null,
        Value::Bool(value) => Variable::Bool(value),
        Value::Number(number) => Variable::Number(number),
        Value::String(text) => Variable::String(text),
        Value::Array(values) => {
            Variable::Array(values.into_iter().map(|value| Rcvar::new(variable(value))).collect())
        }
        Value::Object(fields) => Variable::Object(
            fields.into_iter().map(|(key, value)| (key, Rcvar::new(variable(value)))).collect(),
        ),
    }
}

impl Room {
    /// A value as JSON. What stands in several places is copied into each, so that little can become much.
    fn value(&mut self, found: &Variable, depth: usize) -> Result<Value, Failure> {
        self.take(found)?;
        Ok(match found {
            // The check of the expression lets none of these become data.
            Variable::Null | Variable::Expref(_) => Value::Null,
            Variable::Bool(value) => Value::Bool(*value),
            Variable::Number(number) => Value::Number(number.clone()),
            Variable::String(text) => Value::String(text.clone()),
            Variable::Array(_) | Variable::Object(_) if depth > MAX_DEPTH => {
                return Err(Failure::TooDeep(format!(
                    "what the expression finds is nested deeper than {MAX_DEPTH}"
                )));
            }
            Variable::Array(values) => Value::Array(
                values.iter().map(|value| self.value(value, depth + 1)).collect::<Result<_, _>>()?,
            ),
            Variable::Object(fields) => Value::Object(self.object(fields, depth)?),
        })
    }

    fn object(
        &mut self,
        fields: &BTreeMap<String, Rcvar>,
        depth: usize,
    ) -> Result<Map<String, Value>, Failure> {
        fields.iter().map(|(key, value)| Ok((key.clone(), self.value(value, depth + 1)?))).collect()
    }

    fn take(&mut self, found: &Variable) -> Result<(), Failure> {
        let bytes = match found {
            Variable::String(text) => text.len(),
            Variable::Object(fields) => fields.keys().map(String::len).sum(),
            _ => 0,
        };
        let rest = (self.values.checked_sub(1), self.bytes.checked_sub(bytes));
        let (Some(values), Some(bytes)) = rest else {
            return Err(Failure::TooLarge(format!(
                "the mapping makes more than {MAX_VALUES} values or {MAX_DOCUMENT_BYTES} bytes of the item"
            )));
        };
        *self = Self { values, bytes };
        Ok(())
    }
}
