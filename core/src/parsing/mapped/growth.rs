//! What an expression may say. An operator writes it and strangers write the items, so it must not be able to
//! turn a small item into one that fills the memory, nor to make the evaluation panic or recurse without end.

use jmespath::{DEFAULT_RUNTIME, ast::Ast};

use crate::parsing::limits::MAX_VALUES;

/// How many times as much as the item an expression may make of it. One that gathers seven fields of each job
/// makes seven times as much at most; `[@, @][]`, over and over, doubles it each time.
pub const MAX_GROWTH: u64 = 64;

/// Functions that use the expression that is given to them, on each element of a list.
const BY_EXPRESSION: [&str; 4] = ["map", "sort_by", "min_by", "max_by"];

/// Tells whether an expression is safe to evaluate on any item; the error says what is not.
pub(super) fn check(ast: &Ast) -> Result<(), String> {
    match growth(ast)? {
        growth if growth > MAX_GROWTH => {
            Err(format!("can make more than {MAX_GROWTH} times an item of it: repeat and nest less"))
        }
        _ => Ok(()),
    }
}

/// An upper bound of how much larger than its input the value of an expression, or what is kept on the way,
/// can be.
fn growth(ast: &Ast) -> Result<u64, String> {
    Ok(match ast {
        Ast::Identity { .. } | Ast::Field { .. } => 1,
        Ast::Index { idx, .. } => in_range(&[Some(*idx)])?,
        Ast::Slice { step: 0, .. } => return Err("a step of 0 in brackets".to_owned()),
        Ast::Slice { start, stop, step, .. } => in_range(&[*start, *stop, Some(*step)])?,
        // Beside the elements of a list it may stand once for each, and an element is some 64 bytes.
        Ast::Literal { value, .. } => 1 + value.to_string().len() as u64 / 64,
        Ast::ObjectValues { node, .. } | Ast::Flatten { node, .. } | Ast::Not { node, .. } => growth(node)?,
        Ast::Subexpr { lhs, rhs, .. } | Ast::Projection { lhs, rhs, .. } => {
            growth(lhs)?.saturating_mul(growth(rhs)?)
        }
        Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => {
            growth(lhs)?.max(growth(rhs)?)
        }
        Ast::Condition { predicate, then, .. } => growth(predicate)?.max(growth(then)?),
        Ast::MultiList { elements, .. } => sum(elements)?,
        Ast::MultiHash { elements, .. } => sum(elements.iter().map(|element| &element.value))?,
        Ast::Function { name, args, .. } => of_function(name, args)?,
        Ast::Expref { .. } => {
            return Err(format!("& may only stand before an argument of {}", BY_EXPRESSION.join(", ")));
        }
    })
}

fn of_function(name: &str, args: &[Ast]) -> Result<u64, String> {
    if name == "to_number" {
        // It reads its text as any JSON, which a text can hold more of than a document may.
        return Err("to_number is not there: a text of digits is read as a number would be".to_owned());
    }
    if DEFAULT_RUNTIME.get_function(name).is_none() {
        return Err(format!("{name} is no function of JMESPath"));
    }
    Ok(match name {
        _ if BY_EXPRESSION.contains(&name) => product(args.iter().map(|arg| match arg {
            // Nowhere else, so that no expression becomes data: one that is given itself would never end.
            Ast::Expref { ast, .. } => ast.as_ref(),
            other => other,
        }))?,
        "join" => product(args)?,
        // A control character becomes six: \u0001.
        "to_string" => sum(args)?.saturating_mul(6),
        _ => sum(args)?,
    })
}

fn sum<'a>(nodes: impl IntoIterator<Item = &'a Ast>) -> Result<u64, String> {
    let sum = nodes.into_iter().map(growth).try_fold(0_u64, |sum, growth| {
        let growth = growth?;
        Ok::<u64, String>(sum.saturating_add(growth))
    })?;
    Ok(sum.max(1))
}

fn product<'a>(nodes: impl IntoIterator<Item = &'a Ast>) -> Result<u64, String> {
    nodes.into_iter().map(growth).try_fold(1_u64, |product, growth| Ok(product.saturating_mul(growth?)))
}

/// No list is longer, and the library adds steps and positions without looking.
fn in_range(numbers: &[Option<i32>]) -> Result<u64, String> {
    let is_in_range = |number: &i32| number.unsigned_abs() as usize <= MAX_VALUES;
    if numbers.iter().flatten().all(is_in_range) {
        Ok(1)
    } else {
        Err(format!("a number in brackets is beyond {MAX_VALUES}, the most values of a document"))
    }
}
