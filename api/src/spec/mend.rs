use poem_openapi::{
    ParameterStyle,
    registry::{MetaHeader, MetaOperation, MetaParamIn, MetaSchema, MetaSchemaRef},
};

/// Puts right what poem-openapi 5.1 says of an operation.
pub(super) fn operation(operation: &mut MetaOperation) {
    for response in &mut operation.responses.responses {
        if response.description.is_empty() {
            response.description = "The reply.";
        }
        for content in &mut response.content {
            // JSON has no charset (RFC 8259, section 11), and some generators take this for another media
            // type.
            if content.content_type == "application/json; charset=utf-8" {
                content.content_type = "application/json";
            }
        }
        response.headers.iter_mut().for_each(header);
    }
    for parameter in &mut operation.params {
        // poem reads every value of a list; clients shall send one, as the documentation does:
        // `skills=React,SQL`.
        if parameter.in_type == MetaParamIn::Query && parameter.schema.is_array() {
            parameter.explode = false;
            parameter.style = Some(ParameterStyle::Form);
        }
    }
}

/// `LOCATION` becomes `Location`.
fn header(header: &mut MetaHeader) {
    let words = header.name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + &rest.to_lowercase()
    });
    header.name = words.collect::<Vec<_>>().join("-");
}

/// Puts right what poem-openapi 5.1 says of an object.
pub(super) fn schema(schema: &mut MetaSchema) {
    for (name, property) in &mut schema.properties {
        let MetaSchemaRef::Inline(property) = property else { continue };
        // A field that may be null is always there: those that may be absent are never null.
        if property.nullable && !schema.required.contains(name) {
            schema.required.push(name);
        }
        // Besides the type it names, `allOf` repeats the description, and generators make an intersection of
        // the two.
        if property.all_of.len() == 2 {
            property.all_of.truncate(1);
        }
    }
}
