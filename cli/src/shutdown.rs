use tokio::signal::unix::{SignalKind, signal};

/// Resolves with the first SIGINT or SIGTERM. The next one ends the process at once: somebody is in a hurry.
pub(crate) async fn requested() {
    signalled().await;
    tracing::info!("stopping; once more stops at once");
    tokio::spawn(async {
        signalled().await;
        std::process::exit(130);
    });
}

/// Resolves with the next SIGINT or SIGTERM.
pub(crate) async fn signalled() {
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
