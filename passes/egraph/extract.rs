//! Taking one e-node per class: greedily, each class by what all it is made of costs together.
//!
//! The cost of a form is that of the set of classes it is made of, so what is used twice is paid
//! once; the cost of trees, which egg's own extractor takes, grows exponentially with the depth of
//! a residual network.
use crate::choices::{Choices, Taken};
use std::collections::BTreeSet;

/// For each class the option that is cheapest together with all it is made of.
pub(crate) fn extract(choices: &Choices) -> Taken {
    let users = users(choices);
    let ranks = ranks(choices, &users);
    let mut greedy = Greedy { choices, best: (0..choices.classes.len()).map(|_| None).collect() };
    let ready = (0..choices.classes.len()).filter(|class| ranks[*class] < usize::MAX);
    let mut queue: BTreeSet<(usize, usize)> = ready.map(|class| (ranks[class], class)).collect();
    while let Some((_, class)) = queue.pop_first() {
        if greedy.improve(class) {
            queue.extend(users[class].iter().map(|user| (ranks[*user], *user)));
        }
    }
    greedy.best.into_iter().map(|best| Some(best?.option)).collect()
}

/// The classes that may be made of each class.
pub(crate) fn users(choices: &Choices) -> Vec<Vec<usize>> {
    let mut users = vec![BTreeSet::new(); choices.classes.len()];
    for (user, class) in choices.classes.iter().enumerate() {
        for child in class.options.iter().flat_map(|option| &option.children) {
            users[*child].insert(user);
        }
    }
    users.into_iter().map(|users| users.into_iter().collect()).collect()
}

/// A place for each class behind all classes of one of its options; `usize::MAX` if it cannot be computed.
pub(crate) fn ranks(choices: &Choices, users: &[Vec<usize>]) -> Vec<usize> {
    let mut ranks = vec![usize::MAX; choices.classes.len()];
    let mut queue: BTreeSet<usize> = (0..choices.classes.len()).collect();
    let mut next = 0;
    while let Some(class) = queue.pop_last() {
        let ready = |child: &usize| ranks[*child] < usize::MAX;
        let options = &choices.classes[class].options;
        if ranks[class] == usize::MAX && options.iter().any(|option| option.children.iter().all(ready)) {
            ranks[class] = next;
            next += 1;
            queue.extend(users[class].iter().filter(|user| ranks[**user] == usize::MAX));
        }
    }
    ranks
}

struct Greedy<'c> {
    choices: &'c Choices,
    best: Vec<Option<Best>>,
}

/// The best form of a class so far.
struct Best {
    option: usize,
    cost: u64,
    /// What the option itself costs.
    own: u64,
    made_of: Set,
}

impl Greedy<'_> {
    /// Takes the cheapest option of a class; says whether that is cheaper than what was taken.
    fn improve(&mut self, class: usize) -> bool {
        let mut improved = false;
        for option in 0..self.choices.classes[class].options.len() {
            let Some(form) = self.form(class, option) else { continue };
            if self.best[class].as_ref().is_none_or(|best| form.cost < best.cost) {
                self.best[class] = Some(form);
                improved = true;
            }
        }
        improved
    }

    /// An option with the best forms of what it is made of; `None` if it cannot be cheaper than what
    /// was taken, or would be made of itself.
    fn form(&self, class: usize, option: usize) -> Option<Best> {
        let choice = &self.choices.classes[class].options[option];
        let mut least = choice.cost;
        for child in &choice.children {
            // Whatever is shared, it costs no less than its dearest operand.
            least = least.max(self.best[*child].as_ref()?.cost.saturating_add(choice.cost));
        }
        if self.best[class].as_ref().is_some_and(|best| best.cost <= least) {
            return None;
        }
        let mut made_of = Set::new(self.choices.classes.len());
        for child in &choice.children {
            made_of.extend(&self.best[*child].as_ref()?.made_of);
        }
        if made_of.contains(class) {
            return None;
        }
        let own = |class: usize| self.best[class].as_ref().map_or(0, |best| best.own);
        let cost = made_of.iter().map(own).fold(choice.cost, u64::saturating_add);
        made_of.insert(class);
        Some(Best { option, cost, own: choice.cost, made_of })
    }
}

/// A set of classes.
#[derive(Clone)]
struct Set(Vec<u64>);

impl Set {
    fn new(classes: usize) -> Self {
        Self(vec![0; classes.div_ceil(64)])
    }

    fn insert(&mut self, class: usize) {
        self.0[class / 64] |= 1 << (class % 64);
    }

    fn contains(&self, class: usize) -> bool {
        self.0[class / 64] >> (class % 64) & 1 == 1
    }

    fn extend(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}
