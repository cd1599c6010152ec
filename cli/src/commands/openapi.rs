pub(crate) fn run() {
    print!("{}", resume_api::spec_yaml());
}
