use tokio::signal::unix::{SignalKind, signal};

/// Resolves with the first SIGINT or SIGTERM. The next one ends the process at once: somebody is in a hurry.
pub(crate) async fn requested() {
    wait_for_signal().await;
    tracing::info!("stopping; once more stops at once");
    tokio::spawn(async {
        wait_for_signal().await;
        std::process::exit(130);
    });
}

async fn wait_for_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("signals cannot be watched: only kill -9 stops this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
