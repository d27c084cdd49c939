//! The work queue: earliest deadline first, then by key; one run per key at a time.
//!
//! Nothing in it is random, so that the same events give the same order on every run.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::rotation::EpochSeconds;

/// By when a run should be done: of those that can run, the earliest goes first.
pub(super) type Deadline = EpochSeconds;

/// A queue of `K`.
#[derive(Debug)]
pub(super) struct Queue<K> {
    entries: BTreeMap<K, Entry>,
    ready: BTreeSet<(Deadline, K)>,
    sleeping: BTreeSet<(Instant, K)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    deadline: Deadline,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Sleeping(Instant),
    Running { again: bool },
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            ready: BTreeSet::new(),
            sleeping: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone> Queue<K> {
    /// Makes `key` ready to run, again if it is running now. Of two deadlines for the same run the
    /// earlier counts.
    pub(super) fn wake(&mut self, key: K, deadline: Deadline) {
        match self.entries.get_mut(&key) {
            Some(entry) if matches!(entry.state, State::Running { .. }) => {
                *entry = Entry {
                    deadline,
                    state: State::Running { again: true },
                };
            }
            Some(entry) if entry.state == State::Ready => {
                if deadline < entry.deadline {
                    self.ready.remove(&(entry.deadline, key.clone()));
                    entry.deadline = deadline;
                    self.ready.insert((deadline, key));
                }
            }
            Some(_) | None => self.set_ready(key, deadline),
        }
    }

    /// Takes the next key to run. It does not come again before [`Self::finish`].
    pub(super) fn pop(&mut self, now: Instant) -> Option<K> {
        self.wake_sleepers(now);
        let (_, key) = self.ready.pop_first()?;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.state = State::Running { again: false };
        }
        Some(key)
    }

    /// Ends a run: the key comes again at `next`, at once when it was woken meanwhile, and not at
    /// all when `next` is `None`.
    pub(super) fn finish(&mut self, key: K, next: Option<(Instant, Deadline)>) {
        let Some(entry) = self.entries.get(&key).copied() else {
            return;
        };
        match (entry.state, next) {
            (State::Running { again: true }, _) => self.set_ready(key, entry.deadline),
            (_, Some((at, deadline))) => {
                self.sleeping.insert((at, key.clone()));
                self.entries.insert(
                    key,
                    Entry {
                        deadline,
                        state: State::Sleeping(at),
                    },
                );
            }
            (_, None) => {
                self.entries.remove(&key);
            }
        }
    }

    /// Makes every key ready to run, again where it is running now.
    pub(super) fn wake_all(&mut self) {
        let entries = self.entries.iter();
        let all: Vec<_> = entries
            .map(|(key, entry)| (key.clone(), entry.deadline))
            .collect();
        for (key, deadline) in all {
            self.wake(key, deadline);
        }
    }

    /// When the next sleeper wakes.
    #[must_use]
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.sleeping.first().map(|(at, _)| *at)
    }

    fn wake_sleepers(&mut self, now: Instant) {
        while let Some((at, key)) = self.sleeping.first().cloned() {
            if at > now {
                break;
            }
            let deadline = self.entries.get(&key).map_or(0, |entry| entry.deadline);
            self.set_ready(key, deadline);
        }
    }

    fn set_ready(&mut self, key: K, deadline: Deadline) {
        if let Some(Entry {
            state: State::Sleeping(at),
            ..
        }) = self.entries.get(&key)
        {
            self.sleeping.remove(&(*at, key.clone()));
        }
        self.ready.insert((deadline, key.clone()));
        self.entries.insert(
            key,
            Entry {
                deadline,
                state: State::Ready,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn start() -> (Queue<&'static str>, Instant) {
        let now = Instant::now();
        (Queue::default(), now)
    }

    #[test]
    fn the_earliest_deadline_runs_first_and_the_key_decides_between_equals() {
        let (mut queue, now) = start();
        queue.wake("late", 20);
        queue.wake("b", 10);
        queue.wake("a", 10);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(order, ["a", "b", "late"]);
    }

    #[test]
    fn a_key_woken_while_it_runs_runs_again_and_never_twice_at_once() {
        let (mut queue, now) = start();
        queue.wake("a", 1);
        assert_eq!(queue.pop(now), Some("a"));
        queue.wake("a", 1);
        queue.wake("a", 1);
        assert_eq!(queue.pop(now), None);
        queue.finish("a", None);
        assert_eq!(queue.pop(now), Some("a"));
        queue.finish("a", None);
        assert_eq!(queue.pop(now), None);
    }

    #[test]
    fn a_sleeper_comes_at_its_time_and_not_before() {
        let (mut queue, now) = start();
        queue.wake("a", 1);
        assert_eq!(queue.pop(now), Some("a"));
        let at = now + Duration::from_secs(5);
        queue.finish("a", Some((at, 7)));
        assert_eq!((queue.pop(now), queue.next_wake()), (None, Some(at)));
        assert_eq!((queue.pop(at), queue.next_wake()), (Some("a"), None));
    }

    #[test]
    fn a_sleeper_that_is_woken_early_comes_once() {
        let (mut queue, now) = start();
        queue.wake("a", 1);
        queue.pop(now);
        let at = now + Duration::from_secs(5);
        queue.finish("a", Some((at, 7)));
        queue.wake("a", 3);
        assert_eq!(queue.pop(now), Some("a"));
        queue.finish("a", None);
        assert_eq!(queue.pop(at), None);
    }

    #[test]
    fn everybody_can_be_woken_whether_asleep_running_or_ready() {
        let (mut queue, now) = start();
        queue.wake("asleep", 1);
        queue.pop(now);
        queue.finish("asleep", Some((now + Duration::from_secs(600), 1)));
        queue.wake("running", 2);
        queue.pop(now);
        queue.wake("ready", 3);
        queue.wake_all();
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(order, ["asleep", "ready"]);
        queue.finish("running", None);
        assert_eq!(queue.pop(now), Some("running"));
    }

    #[test]
    fn an_earlier_deadline_moves_a_ready_key_forward() {
        let (mut queue, now) = start();
        queue.wake("a", 10);
        queue.wake("b", 5);
        queue.wake("a", 1);
        queue.wake("a", 50);
        assert_eq!(queue.pop(now), Some("a"));
    }
}
