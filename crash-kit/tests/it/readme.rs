//! The README shows code that compiles: the example's.

#[test]
fn the_scenario_in_the_readme_is_that_of_the_example() {
    let readme = include_str!("../../README.md");
    let example = include_str!("../../examples/own_handlers.rs");
    let (_, code) = readme.split_once("```rust\n").unwrap();
    let (scenario, _) = code.split_once("\nlet report").unwrap();
    assert!(example.contains(scenario), "{scenario}");
}
