//! Forms that would be computed from themselves.
use crate::choices::{Choices, Mark, Taken};

/// Classes that are made of each other, each with the next one; `None` if the choice has none such.
pub(super) fn circle(choices: &Choices, taken: &Taken) -> Option<Vec<(usize, usize)>> {
    let mut state = vec![Mark::New; choices.classes.len()];
    let mut open = choices.roots.clone();
    let mut path: Vec<usize> = Vec::new();
    while let Some(class) = open.last().copied() {
        match state[class] {
            Mark::New => {
                state[class] = Mark::Open;
                path.push(class);
                for child in choices.taken(taken, class).into_iter().flat_map(|choice| &choice.children) {
                    match state[*child] {
                        Mark::New => open.push(*child),
                        Mark::Open => return Some(closed(&path, *child)),
                        Mark::Done => {}
                    }
                }
            }
            Mark::Open => {
                state[class] = Mark::Done;
                path.pop();
                open.pop();
            }
            Mark::Done => drop(open.pop()),
        }
    }
    None
}

/// The end of a path that leads back to a class on it.
fn closed(path: &[usize], first: usize) -> Vec<(usize, usize)> {
    let from = path.iter().position(|class| *class == first).unwrap_or(0);
    let next = path[from..].iter().skip(1).copied().chain([first]);
    path[from..].iter().copied().zip(next).collect()
}
