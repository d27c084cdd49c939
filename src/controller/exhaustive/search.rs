//! Breadth-first search: every state once, the shortest way to it remembered.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What a search came to.
#[derive(Debug)]
pub(super) struct Searched {
    pub(super) states: usize,
    pub(super) transitions: usize,
    /// Steps on the longest of the shortest ways.
    pub(super) depth: usize,
}

/// What is wrong, and the shortest way to it.
#[derive(Debug)]
pub(super) struct Counterexample<A, V> {
    pub(super) steps: Vec<A>,
    pub(super) violation: V,
}

struct Way<A> {
    from: u32,
    depth: u32,
    action: Option<A>,
}

/// Visits every state that `next` leads to from `initial`. States are told apart by 64 bits of hash:
/// with a million of them, the chance that any two are taken for one is below one in ten million.
///
/// # Errors
/// The first violation, which is one of those with the fewest steps.
pub(super) fn search<S: Clone + Hash, A: Clone, V>(
    initial: &S,
    mut next: impl FnMut(&S) -> Vec<(A, Result<S, V>)>,
) -> Result<Searched, Counterexample<A, V>> {
    let mut numbers: HashMap<u64, u32, BuildHasherDefault<Identity>> = HashMap::default();
    let mut ways: Vec<Way<A>> = Vec::new();
    let mut queue: VecDeque<(u32, S)> = VecDeque::new();
    let mut transitions = 0;
    numbers.insert(fingerprint(initial), 0);
    queue.push_back((0, initial.clone()));
    ways.push(Way {
        from: 0,
        depth: 0,
        action: None,
    });
    while let Some((from, state)) = queue.pop_front() {
        let depth = ways[from as usize].depth + 1;
        for (action, after) in next(&state) {
            transitions += 1;
            let way = Way {
                from,
                depth,
                action: Some(action),
            };
            match after {
                Ok(after) => {
                    let number = number(ways.len());
                    if *numbers.entry(fingerprint(&after)).or_insert(number) == number {
                        ways.push(way);
                        queue.push_back((number, after));
                    }
                }
                Err(violation) => return Err(counterexample(&ways, way, violation)),
            }
        }
    }
    Ok(Searched {
        states: ways.len(),
        transitions,
        depth: ways.last().map_or(0, |way| way.depth as usize),
    })
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("more states than can be numbered")
}

fn counterexample<A: Clone, V>(
    ways: &[Way<A>],
    last: Way<A>,
    violation: V,
) -> Counterexample<A, V> {
    let mut steps: Vec<A> = last.action.into_iter().collect();
    let mut at = last.from;
    while let Some(action) = &ways[at as usize].action {
        steps.push(action.clone());
        at = ways[at as usize].from;
    }
    steps.reverse();
    Counterexample { steps, violation }
}

/// 64 bits of `value`, the same on every run.
pub(super) fn fingerprint(value: &impl Hash) -> u64 {
    let mut mixer = Mixer(0x9e37_79b9_7f4a_7c15);
    value.hash(&mut mixer);
    mixer.finish()
}

/// Mixes word by word. The standard library's hasher is made for keys from strangers, and takes most of
/// the time of an unoptimised search.
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.mix(word.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// For keys that are hashes already.
#[derive(Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole words are hashed");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
