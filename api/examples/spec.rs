fn main() {
    print!("{}", resume_api::spec_yaml());
}
