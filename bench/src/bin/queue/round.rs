//! Rounds: every system once in each, in another order each time, so that what disturbs the machine meets all
//! alike.

use bench::{Target, median};

use crate::{Options, peers::System};

/// The figures of all systems, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Rounds<F> {
    figures: Vec<(System, F)>,
    turns: Vec<System>,
}

impl<F: Default> Rounds<F> {
    pub(crate) fn new(options: &Options) -> Self {
        Self::of(&options.systems, options.rounds)
    }

    pub(crate) fn of(systems: &[System], rounds: usize) -> Self {
        let mut turns = Vec::new();
        for round in 0..rounds {
            let mut order = systems.to_vec();
            order.rotate_left(round % systems.len().max(1));
            turns.extend(order);
        }
        // Taken from the end.
        turns.reverse();
        Self { figures: systems.iter().map(|system| (*system, F::default())).collect(), turns }
    }

    /// The next system to measure, and where its figures go.
    pub(crate) fn next(&mut self) -> Option<(System, &mut F)> {
        let turn = self.turns.pop()?;
        let (system, figures) = self.figures.iter_mut().find(|(system, _)| *system == turn)?;
        Some((*system, figures))
    }

    pub(crate) fn figures(&self) -> &[(System, F)] {
        &self.figures
    }

    /// The median of a figure of ours.
    pub(crate) fn ours(&self, figure: impl Fn(&F) -> &Vec<f64>) -> Option<f64> {
        let (_, figures) = self.figures.iter().find(|(system, _)| *system == System::Ours)?;
        Some(median(figure(figures)))
    }

    /// The medians of a figure of the peers that `counts` lets in.
    pub(crate) fn peers<'a>(
        &'a self,
        counts: impl Fn(System) -> bool + 'a,
        figure: impl Fn(&F) -> &Vec<f64> + 'a,
    ) -> impl Iterator<Item = f64> + 'a {
        let peers = self.figures.iter().filter(move |(system, _)| *system != System::Ours && counts(*system));
        peers.map(move |(_, figures)| median(figure(figures)))
    }
}

/// That our rate is at least `least` times the highest of the peers that `counts` lets in; nothing where
/// there is none.
pub(crate) fn least_ratio<F: Default>(
    name: &str,
    rounds: &Rounds<F>,
    least: f64,
    counts: impl Fn(System) -> bool,
    rate: impl Fn(&F) -> &Vec<f64> + Copy,
) -> Option<Target> {
    let fastest = rounds.peers(counts, rate).fold(0.0, f64::max);
    let ours = rounds.ours(rate)?;
    (fastest > 0.0).then(|| Target::at_least(name, ours / fastest, least))
}
