//! The kit passes a handler that keeps to the rules, and finds the fault of one that does not.

use resume_crash_kit::{CrashKit, Verdict};

use crate::invoices::Invoices;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_in_the_transaction_of_the_completion_happens_once() {
    let kit = CrashKit::new(Invoices { is_careful: true }).only("#1 of commit after select queue.complete");
    let report = kit.run(|_, _, _, _| {}).await.unwrap();
    // Before and after; abort, cut and outage.
    assert_eq!((report.points(), report.failed()), (6, 0), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_before_the_completion_is_found_to_happen_twice() {
    let kit = CrashKit::new(Invoices { is_careful: false }).only("abort after #1 of insert invoices");
    let report = kit.run(|_, _, _, _| {}).await.unwrap();
    let verdicts: Vec<&Verdict> = report.entries.iter().map(|(_, _, verdict, _)| verdict).collect();
    let [Verdict::Failed(violations)] = verdicts[..] else { panic!("{report}") };
    assert_eq!(violations.len(), 1, "{report}");
    assert!(violations[0].starts_with("every invoice is written once: {\"n\":"), "{report}");
}
