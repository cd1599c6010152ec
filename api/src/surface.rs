use serde_json::Value;

use crate::{
    attachments::{SHA256_EXPECTED, SHA256_FORMAT},
    name,
    people::{EXTERNAL_ID_EXPECTED, EXTERNAL_ID_FORMAT},
    problem::FieldError,
    span,
};

/// What the description says of each operation, for replies to requests that missed it.
pub(crate) struct Surface {
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    /// The path's segments; `None` for a parameter.
    path: Vec<Option<String>>,
    parameters: Vec<Parameter>,
}

struct Parameter {
    name: String,
    is_in_path: bool,
    expected: String,
}

impl Surface {
    /// Reads the description.
    pub(crate) fn of(spec: &Value) -> Self {
        let paths = spec["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(|(method, operation)| Operation {
                id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
                method: method.to_uppercase(),
                path: segments(path).map(|s| (!s.starts_with('{')).then(|| s.to_owned())).collect(),
                parameters: parameters(operation, spec),
            })
        });
        Self { operations: operations.collect() }
    }

    /// The value of `Allow` for a path that is there.
    pub(crate) fn allow(&self, path: &str) -> String {
        let fits = |operation: &&Operation| {
            operation.path.len() == segments(path).count()
                && operation
                    .path
                    .iter()
                    .zip(segments(path))
                    .all(|(s, text)| s.as_deref().is_none_or(|s| s == text))
        };
        let fitting: Vec<&Operation> = self.operations.iter().filter(fits).collect();
        // A path without parameters hides those that would fit it too.
        let parameters = |operation: &Operation| operation.path.iter().filter(|s| s.is_none()).count();
        let fewest = fitting.iter().map(|o| parameters(o)).min();
        let mut methods: Vec<&str> =
            fitting.iter().filter(|o| Some(parameters(o)) == fewest).map(|o| o.method.as_str()).collect();
        if methods.is_empty() {
            // The pages that the description leaves out.
            methods.push("GET");
        }
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }

    /// What is wrong with a parameter that poem could not read. poem calls those of the path `param0`,
    /// `param1`, ..
    pub(crate) fn bad_parameter(&self, operation_id: &str, name: &str) -> FieldError {
        let operation = self.operations.iter().find(|operation| operation.id == operation_id);
        let mut parameters = operation.into_iter().flat_map(|operation| &operation.parameters);
        let found = match name.strip_prefix("param").and_then(|n| n.parse().ok()) {
            Some(n) => parameters.filter(|p| p.is_in_path).nth(n),
            None => parameters.find(|p| p.name == name),
        };
        match found {
            Some(parameter) => FieldError {
                field: parameter.name.clone(),
                detail: format!("must be {}", parameter.expected),
            },
            None => FieldError { field: name.to_owned(), detail: "is not valid".to_owned() },
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/')
}

fn parameters(operation: &Value, spec: &Value) -> Vec<Parameter> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.map(|parameter| Parameter {
        name: parameter["name"].as_str().unwrap_or_default().to_owned(),
        is_in_path: parameter["in"] == "path",
        expected: expected(&parameter["schema"], spec),
    })
    .collect()
}

/// A schema in words, to follow "must be".
fn expected(schema: &Value, spec: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
        return spec.pointer(reference).map_or_else(String::new, |schema| expected(schema, spec));
    }
    if let Some(first) = schema["allOf"].get(0) {
        return expected(first, spec);
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return format!("one of {}", values.join(", "));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer"), _) => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(min), Some(max)) => format!("a whole number from {min} to {max}"),
            _ => "a whole number".to_owned(),
        },
        (Some("array"), _) => format!("a list, separated by commas, of {}", expected(&schema["items"], spec)),
        (_, Some("uuid")) => "a UUID".to_owned(),
        (_, Some(span::FORMAT)) => span::EXPECTED.to_owned(),
        (_, Some(EXTERNAL_ID_FORMAT)) => EXTERNAL_ID_EXPECTED.to_owned(),
        (_, Some(SHA256_FORMAT)) => SHA256_EXPECTED.to_owned(),
        (Some("string"), _) if schema["maxLength"].is_number() => {
            let rest =
                if schema["pattern"] == name::PATTERN { ", and not dots and slashes alone" } else { "" };
            format!("a string of 1 to {} characters, without NUL{rest}", schema["maxLength"])
        }
        (Some("boolean"), _) => "true or false".to_owned(),
        _ => "as described".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface() -> Surface {
        Surface::of(&crate::spec::document())
    }

    #[test]
    fn allow_lists_the_methods_of_the_path() {
        let surface = surface();
        assert_eq!(surface.allow("/api/v1/data-collection/trigger"), "POST");
        assert_eq!(surface.allow("/api/v1/resumes/search/"), "GET, HEAD");
        assert_eq!(surface.allow("/api/v1/resumes/7/raw"), "GET, HEAD");
        assert_eq!(surface.allow("/docs"), "GET, HEAD");
    }

    #[test]
    fn every_parameter_is_described_in_words() {
        for operation in &surface().operations {
            for parameter in &operation.parameters {
                assert!(!parameter.expected.is_empty(), "{} of {}", parameter.name, operation.id);
            }
        }
    }

    #[test]
    fn parameters_go_by_their_own_name() {
        let id = surface().bad_parameter("get_collection_status", "param0");
        assert_eq!((id.field.as_str(), id.detail.as_str()), ("data_request_id", "must be a UUID"));
        let limit = surface().bad_parameter("search_resumes", "limit");
        assert_eq!(limit.detail, "must be a whole number from 1 to 100");
        assert_eq!(surface().bad_parameter("search_resumes", "match").detail, "must be one of any, all");
    }
}
