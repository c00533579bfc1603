//! Where the boxes of a graph stand: in layers, every arrow pointing down, few crossings.
//!
//! Longest paths give the layers; an arrow over several layers gets a place in each, so that it runs between
//! the boxes; the order within a layer follows the mean place of the neighbours, above and below in turn; and
//! the places are the nearest to the means that keep the order and the distances.

/// How high a box is.
pub(super) const HEIGHT: f64 = 40.0;
/// What is free between layers, where arrows run.
const BETWEEN: f64 = 34.0;
/// What is free between neighbours in a layer.
const BESIDE: f64 = 18.0;
/// What is free around everything.
const MARGIN: f64 = 20.0;
/// How wide an arrow is that runs through a layer.
const LANE: f64 = 6.0;
/// How often neighbours are looked at.
const SWEEPS: usize = 8;
/// How many lanes there may be; beyond, arrows run straight.
const MAX_LANES: usize = 60_000;

/// Where everything is.
pub(super) struct Layout {
    /// The middle of each box, and its upper edge.
    pub(super) boxes: Vec<(f64, f64)>,
    /// The points each arrow runs through, from the lower edge of one box to the upper edge of another.
    pub(super) arrows: Vec<Vec<(f64, f64)>>,
    /// The size of the whole.
    pub(super) size: (f64, f64),
}

/// Boxes and lanes, in layers.
struct Layers {
    width: Vec<f64>,
    layer: Vec<usize>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
    rows: Vec<Vec<usize>>,
    x: Vec<f64>,
}

/// Places boxes of these widths; arrows lead from earlier boxes to later ones.
pub(super) fn layout(widths: &[f64], arrows: &[(usize, usize)]) -> Layout {
    let layer = layers_of(widths.len(), arrows);
    let count = widths.len();
    let mut layers = Layers {
        width: widths.to_vec(),
        layer,
        above: vec![Vec::new(); count],
        below: vec![Vec::new(); count],
        rows: Vec::new(),
        x: Vec::new(),
    };
    let chains: Vec<Vec<usize>> = arrows.iter().map(|arrow| layers.route(*arrow)).collect();
    layers.order();
    layers.place();
    layers.finish(count, &chains)
}

/// The layer of each box: below all that lead to it; and what nothing leads to, just above what it leads to.
fn layers_of(count: usize, arrows: &[(usize, usize)]) -> Vec<usize> {
    let (mut layer, mut has_source) = (vec![0; count], vec![false; count]);
    let mut sorted = arrows.to_vec();
    sorted.sort_unstable();
    for (from, to) in &sorted {
        layer[*to] = layer[*to].max(layer[*from] + 1);
        has_source[*to] = true;
    }
    let mut nearest = vec![usize::MAX; count];
    for (from, to) in &sorted {
        nearest[*from] = nearest[*from].min(layer[*to]);
    }
    for i in (0..count).filter(|i| !has_source[*i] && nearest[*i] != usize::MAX) {
        layer[i] = nearest[i].saturating_sub(1);
    }
    layer
}

impl Layers {
    /// Gives an arrow a lane in each layer it crosses; the boxes and lanes it runs through.
    fn route(&mut self, (from, to): (usize, usize)) -> Vec<usize> {
        let mut chain = vec![from];
        for layer in self.layer[from] + 1..self.layer[to] {
            if self.layer.len() >= MAX_LANES {
                break;
            }
            chain.push(self.layer.len());
            self.layer.push(layer);
            self.width.push(LANE);
            self.above.push(Vec::new());
            self.below.push(Vec::new());
        }
        chain.push(to);
        for pair in chain.windows(2) {
            self.below[pair[0]].push(pair[1]);
            self.above[pair[1]].push(pair[0]);
        }
        chain
    }

    /// Orders each layer.
    fn order(&mut self) {
        let count = self.layer.iter().max().map_or(0, |last| last + 1);
        self.rows = vec![Vec::new(); count];
        for (item, layer) in self.layer.iter().enumerate() {
            self.rows[*layer].push(item);
        }
        let mut at = vec![0.0; self.layer.len()];
        self.rows.iter().for_each(|row| number(row, &mut at));
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let neighbours = if down { &self.above } else { &self.below };
            for i in 0..count {
                let row = &mut self.rows[if down { i } else { count - 1 - i }];
                let mut keyed: Vec<_> = row
                    .iter()
                    .map(|item| (mean(&neighbours[*item], &at).unwrap_or(at[*item]), *item))
                    .collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                *row = keyed.into_iter().map(|(_, item)| item).collect();
                number(row, &mut at);
            }
        }
    }

    /// Gives everything its place from left to right.
    fn place(&mut self) {
        self.x = vec![0.0; self.layer.len()];
        for row in &self.rows {
            let offsets = offsets(row, &self.width);
            row.iter().zip(offsets).for_each(|(item, offset)| self.x[*item] = offset);
        }
        for sweep in 0..2 * SWEEPS {
            let down = sweep % 2 == 0;
            let neighbours = if down { &self.above } else { &self.below };
            for i in 0..self.rows.len() {
                let row = &self.rows[if down { i } else { self.rows.len() - 1 - i }];
                let wanted =
                    row.iter().map(|item| mean(&neighbours[*item], &self.x).unwrap_or(self.x[*item]));
                let offsets = offsets(row, &self.width);
                let free = wanted.zip(&offsets).map(|(x, offset)| x - offset).collect();
                let placed = nondecreasing(free);
                for ((item, x), offset) in row.iter().zip(placed).zip(offsets) {
                    self.x[*item] = x + offset;
                }
            }
        }
    }

    fn finish(self, boxes: usize, chains: &[Vec<usize>]) -> Layout {
        let edge = |sign: f64| self.x.iter().zip(&self.width).map(move |(x, width)| x + sign * width / 2.0);
        let left = edge(-1.0).fold(f64::INFINITY, f64::min);
        let right = edge(1.0).fold(f64::NEG_INFINITY, f64::max);
        let shift = if left.is_finite() { MARGIN - left } else { MARGIN };
        let top = |item: usize| MARGIN + self.layer[item] as f64 * (HEIGHT + BETWEEN);
        let at = |item: usize| (self.x[item] + shift, top(item));
        let arrow = |chain: &Vec<usize>| {
            let last = chain.len() - 1;
            let point = |(i, item): (usize, &usize)| {
                let (x, y) = at(*item);
                match i {
                    0 => vec![(x, y + HEIGHT)],
                    i if i == last => vec![(x, y)],
                    _ => vec![(x, y), (x, y + HEIGHT)],
                }
            };
            chain.iter().enumerate().flat_map(point).collect()
        };
        let height = 2.0 * MARGIN + self.rows.len() as f64 * (HEIGHT + BETWEEN) - BETWEEN;
        Layout {
            boxes: (0..boxes).map(at).collect(),
            arrows: chains.iter().map(arrow).collect(),
            size: (
                if right.is_finite() { right + shift + MARGIN } else { 2.0 * MARGIN },
                height.max(2.0 * MARGIN),
            ),
        }
    }
}

fn number(row: &[usize], at: &mut [f64]) {
    row.iter().enumerate().for_each(|(place, item)| at[*item] = place as f64);
}

fn mean(items: &[usize], of: &[f64]) -> Option<f64> {
    (!items.is_empty()).then(|| items.iter().map(|item| of[*item]).sum::<f64>() / items.len() as f64)
}

/// The middles of neighbours that stand side by side.
fn offsets(row: &[usize], width: &[f64]) -> Vec<f64> {
    let mut end = 0.0;
    let offset = |item: &usize| {
        let middle = end + width[*item] / 2.0;
        end += width[*item] + BESIDE;
        middle
    };
    row.iter().map(offset).collect()
}

/// The nearest numbers that do not fall: neighbours in the wrong order share their mean.
fn nondecreasing(numbers: Vec<f64>) -> Vec<f64> {
    let mut blocks: Vec<(f64, usize)> = Vec::with_capacity(numbers.len());
    for number in numbers {
        blocks.push((number, 1));
        while let [.., (a, m), (b, n)] = blocks[..] {
            if a / m as f64 <= b / n as f64 {
                break;
            }
            blocks.truncate(blocks.len() - 2);
            blocks.push((a + b, m + n));
        }
    }
    blocks.into_iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / count as f64, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_down_and_boxes_do_not_overlap() {
        let arrows = [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3), (4, 3)];
        let widths = [50.0, 120.0, 80.0, 60.0, 40.0];
        let layout = layout(&widths, &arrows);
        for ((from, to), points) in arrows.iter().zip(&layout.arrows) {
            assert!(layout.boxes[*from].1 < layout.boxes[*to].1);
            assert!(points.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{points:?}");
        }
        for a in 0..widths.len() {
            for b in 0..a {
                let (one, other) = (layout.boxes[a], layout.boxes[b]);
                let apart = (one.0 - other.0).abs() >= (widths[a] + widths[b]) / 2.0;
                assert!(one.1 != other.1 || apart, "{a} and {b}");
            }
        }
        assert!(
            layout
                .boxes
                .iter()
                .all(|(x, y)| (0.0..layout.size.0).contains(x) && (0.0..layout.size.1).contains(y))
        );
    }

    #[test]
    fn numbers_in_the_wrong_order_share_their_mean() {
        assert_eq!(nondecreasing(vec![1.0, 3.0, 2.0, 2.5, 5.0]), [1.0, 2.5, 2.5, 2.5, 5.0]);
    }

    #[test]
    fn nothing_has_a_place_too() {
        assert!(layout(&[], &[]).size.0 > 0.0);
    }
}
