//! Moves that pay only together.
//!
//! One product for queries, keys and values costs each of the three more than its own product does;
//! it pays when all three take it. A greedy choice, class by class, never sees that, so here all
//! classes that could share a class take it at once, and keep it if the whole became cheaper.
use crate::choices::{Choices, Taken};
use crate::extract::users;

/// How many moves are tried.
const MOVES: usize = 4000;

/// How often everything is gone through.
const ROUNDS: usize = 4;

/// Makes a choice cheaper as long as moves pay; says what it costs.
pub(crate) fn improve(choices: &Choices, taken: &mut Taken) -> Option<u64> {
    let users = users(choices);
    let mut search = Search { choices, cost: choices.total(taken)?, taken, left: MOVES };
    for _ in 0..ROUNDS {
        let before = search.cost;
        for (hub, users) in users.iter().enumerate() {
            search.share(hub, users);
        }
        for class in search.choices.order(search.taken)? {
            search.turn(class);
        }
        if search.cost == before {
            break;
        }
    }
    Some(search.cost)
}

struct Search<'c> {
    choices: &'c Choices,
    taken: &'c mut Taken,
    cost: u64,
    left: usize,
}

impl Search<'_> {
    /// Lets every class that could use `hub`, and does not, use it.
    fn share(&mut self, hub: usize, users: &[usize]) {
        let moves: Vec<(usize, usize)> =
            users.iter().filter_map(|user| Some((*user, self.using(*user, hub)?))).collect();
        if moves.len() > 1 {
            self.attempt(&moves);
        }
    }

    /// The cheapest option of a class that uses `hub`, if the one taken does not.
    fn using(&self, user: usize, hub: usize) -> Option<usize> {
        let options = &self.choices.classes[user].options;
        if self.choices.taken(self.taken, user)?.children.contains(&hub) {
            return None;
        }
        let using = options.iter().enumerate().filter(|(_, option)| option.children.contains(&hub));
        using.min_by_key(|(_, option)| option.cost).map(|(at, _)| at)
    }

    /// Tries the other options of a class.
    fn turn(&mut self, class: usize) {
        for option in 0..self.choices.classes[class].options.len() {
            if self.taken[class] != Some(option) {
                self.attempt(&[(class, option)]);
            }
        }
    }

    fn attempt(&mut self, moves: &[(usize, usize)]) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let before: Vec<Option<usize>> = moves.iter().map(|(class, _)| self.taken[*class]).collect();
        moves.iter().for_each(|(class, option)| self.taken[*class] = Some(*option));
        match self.choices.total(self.taken).filter(|cost| *cost < self.cost) {
            Some(cost) => self.cost = cost,
            None => moves.iter().zip(before).for_each(|((class, _), option)| self.taken[*class] = option),
        }
    }
}
