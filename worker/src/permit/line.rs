use std::collections::{BTreeMap, HashMap};

use resume_core::call_limit::Caller;
use tokio::{sync::oneshot, time::Instant};
use uuid::Uuid;

/// So many collections are remembered with their last turn. One that is forgotten comes first when it is
/// there again, as one would that has had none for so long.
const REMEMBERED_MAX: usize = 1000;

/// Those of a process who wait for leave to call a source. The next turn is the collection's that has not had
/// one for longest, and of its callers the one's who came first: a chain of pages, which asks for one at a
/// time, does not wait behind a collection that asks for many at once.
#[derive(Debug)]
pub(super) struct Line<T> {
    waiting: BTreeMap<u64, Waiting<T>>,
    /// When each collection had its last turn, counted in turns.
    last_turns: HashMap<Uuid, u64>,
    tickets: u64,
    turns: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    collection_id: Uuid,
    call_id: i64,
    since: Instant,
    reply: oneshot::Sender<T>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), last_turns: HashMap::new(), tickets: 0, turns: 0 }
    }
}

impl<T> Line<T> {
    /// Adds one who has waited since then.
    pub(super) fn join(&mut self, collection_id: Uuid, call_id: i64, since: Instant) -> oneshot::Receiver<T> {
        let (reply, receiver) = oneshot::channel();
        self.tickets += 1;
        self.waiting.insert(self.tickets, Waiting { collection_id, call_id, since, reply });
        receiver
    }

    /// The next ones, at most so many, with their tickets, in the order of their turns. They stay in the
    /// line. Those who do not wait any more are dropped.
    pub(super) fn next(&mut self, most: usize) -> Vec<(u64, Caller)> {
        self.waiting.retain(|_, waiting| !waiting.reply.is_closed());
        let mut by_collection: HashMap<Uuid, Vec<u64>> = HashMap::new();
        for (ticket, waiting) in self.waiting.iter().rev() {
            by_collection.entry(waiting.collection_id).or_default().push(*ticket);
        }
        let mut last_turns: HashMap<Uuid, u64> =
            by_collection.keys().map(|id| (*id, self.last_turn(*id))).collect();
        let mut next = Vec::new();
        while next.len() < most {
            let candidates = by_collection.iter().filter_map(|(id, tickets)| {
                Some((last_turns.get(id).copied().unwrap_or_default(), *tickets.last()?, *id))
            });
            let Some((_, ticket, id)) = candidates.min() else { break };
            by_collection.entry(id).or_default().pop();
            last_turns.insert(id, self.turns + next.len() as u64 + 1);
            next.extend(self.waiting.get(&ticket).map(|waiting| (ticket, waiting.caller())));
        }
        next
    }

    /// Answers one whose turn it is. Gives the answer back if nobody waits for it any more.
    pub(super) fn serve(&mut self, ticket: u64, answer: T) -> Result<(), T> {
        let Some(waiting) = self.waiting.remove(&ticket) else { return Err(answer) };
        self.turns += 1;
        self.last_turns.insert(waiting.collection_id, self.turns);
        if self.last_turns.len() > REMEMBERED_MAX
            && let Some(oldest) = self.last_turns.iter().min_by_key(|(_, turn)| **turn).map(|(id, _)| *id)
        {
            self.last_turns.remove(&oldest);
        }
        waiting.reply.send(answer)
    }

    /// Gives everybody this answer, which is no turn.
    pub(super) fn dismiss(&mut self, answer: impl Fn() -> T) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            // Whoever does not wait any more needs none.
            let _ = waiting.reply.send(answer());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn last_turn(&self, collection_id: Uuid) -> u64 {
        self.last_turns.get(&collection_id).copied().unwrap_or_default()
    }
}

impl<T> Waiting<T> {
    fn caller(&self) -> Caller {
        Caller { collection_id: self.collection_id, call_id: self.call_id, waited: self.since.elapsed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUGE: Uuid = Uuid::from_u128(1);
    const CHAIN: Uuid = Uuid::from_u128(2);

    fn pages(next: &[(u64, Caller)]) -> Vec<(u128, i64)> {
        next.iter().map(|(_, caller)| (caller.collection_id.as_u128(), caller.call_id)).collect()
    }

    /// Lets the next one have its turn, if somebody waits.
    fn turn(line: &mut Line<()>) -> Option<(u128, i64)> {
        let next = line.next(1);
        line.serve(next.first()?.0, ()).unwrap();
        pages(&next).pop()
    }

    fn crowd(line: &mut Line<()>, collection_id: Uuid, count: i64) -> Vec<oneshot::Receiver<()>> {
        (1..=count).map(|page| line.join(collection_id, page, Instant::now())).collect()
    }

    #[test]
    fn who_comes_first_is_served_first() {
        let mut line = Line::default();
        let _crowd = crowd(&mut line, HUGE, 3);
        assert_eq!([1, 2, 3].map(|page| Some((1, page))), [(); 3].map(|()| turn(&mut line)));
        assert_eq!(turn(&mut line), None);
    }

    #[test]
    fn a_chain_does_not_wait_behind_a_crowd() {
        let mut line = Line::default();
        let _crowd = crowd(&mut line, HUGE, 32);
        turn(&mut line);
        for page in 1..=10 {
            // Its next page is there only when the one before has been fetched.
            let _link = line.join(CHAIN, page, Instant::now());
            assert_eq!(turn(&mut line), Some((2, page)));
            assert_eq!(turn(&mut line), Some((1, page + 1)));
        }
    }

    #[test]
    fn several_turns_at_once_are_shared_like_one_after_the_other() {
        let mut line = Line::default();
        let _crowds = [crowd(&mut line, HUGE, 5), crowd(&mut line, CHAIN, 2)];
        let next = line.next(6);
        assert_eq!(pages(&next), [(1, 1), (2, 1), (1, 2), (2, 2), (1, 3), (1, 4)]);
        assert_eq!(pages(&line.next(1)), [(1, 1)], "they stay in the line");
    }

    #[test]
    fn who_has_left_is_passed_by() {
        let mut line = Line::default();
        let first = line.join(HUGE, 1, Instant::now());
        let mut second = line.join(HUGE, 2, Instant::now());
        let next = line.next(1);
        drop(first);
        assert_eq!(line.serve(next[0].0, ()), Err(()), "the answer comes back");
        assert_eq!(turn(&mut line), Some((1, 2)));
        assert_eq!(second.try_recv(), Ok(()));
        assert!(line.is_empty());
    }

    #[test]
    fn the_memory_has_an_end() {
        let mut line = Line::default();
        for id in 0..3 * REMEMBERED_MAX as u128 {
            let _waiting = line.join(Uuid::from_u128(id), 1, Instant::now());
            turn(&mut line);
        }
        assert_eq!(line.last_turns.len(), REMEMBERED_MAX);
    }
}
