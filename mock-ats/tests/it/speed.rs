use std::time::Instant;

use mock_ats::{Face, PageQuery, page};

/// The mock shares its machine with the service that is measured against it, so it must cost next to nothing.
/// Run with `cargo test --release -p mock-ats -- --ignored --nocapture`.
#[test]
#[ignore = "means something with --release and an idle core only"]
fn a_million_people_are_written_in_a_second() {
    for (face, items_per_second) in [(Face::TestData, 1_000_000.0), (Face::JsonResumes, 100_000.0)] {
        let query =
            PageQuery::from_pairs([("count", "1000000"), ("per_page", "1000"), ("errors", "true")]).unwrap();
        let (pages, mut size_bytes) = (200, 0);
        let start = Instant::now();
        for number in 1..=pages {
            size_bytes += page(face, query.with_page(number).unwrap(), "http://127.0.0.1:8000").len();
        }
        let rate = f64::from(pages * 1000) / start.elapsed().as_secs_f64();
        println!("{face:?}: {rate:.0} items/s, {} bytes an item", size_bytes / (pages as usize * 1000));
        assert!(rate > items_per_second, "{face:?}: {rate:.0} items/s");
    }
}
