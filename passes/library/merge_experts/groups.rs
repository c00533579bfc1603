//! Experts in groups of those that are close to each other, with one network for each group.
use super::routed::Routed;
use super::weights::Weights;
use weft_ir::{Attr, Tensor, Value};
use weft_passes::{Declined, Rewriter, floats, node};

/// How far experts are from each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Distances(Vec<Vec<f64>>);

impl Distances {
    /// Adds what one weight says: squares of distances, relative to the square of the average's norm.
    pub(super) fn add(&mut self, weights: &Weights) {
        let count = weights.each.len();
        self.0.resize(self.0.len().max(count), vec![0.0; count]);
        let average = weights.average(&vec![1.0 / count as f64; count]);
        let whole = average.iter().map(|x| x * x).sum::<f64>().max(f64::MIN_POSITIVE);
        for (a, one) in weights.each.iter().enumerate() {
            for (b, other) in weights.each.iter().enumerate().take(a) {
                let apart = one.iter().zip(other).map(|(x, y)| (x - y) * (x - y)).sum::<f64>() / whole;
                self.0[a][b] += apart;
                self.0[b][a] += apart;
            }
        }
    }

    /// So many groups of experts: the two groups nearest to each other, on average over their experts, are
    /// joined until no more are left (agglomerative clustering with average linkage).
    pub(super) fn groups(&self, wanted: usize) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = (0..self.0.len()).map(|expert| vec![expert]).collect();
        let apart = |a: &[usize], b: &[usize]| {
            let all = a.iter().flat_map(|x| b.iter().map(|y| self.0[*x][*y]));
            all.sum::<f64>() / (a.len() * b.len()) as f64
        };
        while groups.len() > wanted.max(1) {
            let pairs = (1..groups.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
            let nearest = pairs.min_by(|(a, b), (c, d)| {
                apart(&groups[*a], &groups[*b]).total_cmp(&apart(&groups[*c], &groups[*d]))
            });
            let Some((a, b)) = nearest else { break };
            let joined = groups.remove(b);
            groups[a].extend(joined);
        }
        groups
    }
}

/// Groups of experts; none if all become one network.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    /// The experts of each.
    pub(super) members: Vec<Vec<usize>>,
    /// How much every expert counts in each.
    pub(super) shares: Vec<Vec<f64>>,
}

impl Groups {
    /// These groups, of experts that count so much.
    pub(super) fn of(members: Vec<Vec<usize>>, shares: &[f64]) -> Self {
        let row = |group: &Vec<usize>| {
            let whole: f64 = group.iter().map(|expert| shares[*expert]).sum();
            let share = |expert: usize| match (group.contains(&expert), whole > 0.0) {
                (false, _) => 0.0,
                (true, true) => shares[expert] / whole,
                (true, false) => 1.0 / group.len() as f64,
            };
            (0..shares.len()).map(share).collect()
        };
        Self { shares: members.iter().map(row).collect(), members }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// What the groups give, weighed by the sums of their experts' gates: `[groups, tokens, features]` becomes
/// `[tokens, features]`.
pub(super) fn weighed(
    g: &mut Rewriter<'_>,
    found: &Routed,
    groups: &[Vec<usize>],
    given: Value,
) -> Result<Value, Declined> {
    let (gates, axis) = found.dense_gates().ok_or("groups take experts that are stacked")?;
    let experts = groups.iter().map(Vec::len).sum::<usize>();
    let belongs = |expert: usize, group: usize| f64::from(groups[group].contains(&expert));
    let gates = match g.rank(gates) {
        Some(3) => {
            let last = g.constant(Tensor::vector(&[2i64]))?;
            g.add(node("Squeeze", []), &[Some(gates), Some(last)])?
        }
        _ => gates,
    };
    let dtype = g.dtype(gates);
    let dims = [groups.len() as u64, experts as u64];
    let sums: Vec<f64> =
        (0..groups.len()).flat_map(|group| (0..experts).map(move |expert| belongs(expert, group))).collect();
    let sums = g.constant(floats(dtype, &dims, &sums).ok_or("the gates are no floats")?)?;
    let gates = match axis {
        0 => gates,
        _ => g.add(node("Transpose", [("perm", Attr::Ints(vec![1, 0]))]), &[Some(gates)])?,
    };
    let gates = g.add(node("MatMul", []), &[Some(sums), Some(gates)])?;
    let last = g.constant(Tensor::vector(&[2i64]))?;
    let gates = g.add(node("Unsqueeze", []), &[Some(gates), Some(last)])?;
    let weighed = g.add(node("Mul", []), &[Some(gates), Some(given)])?;
    let front = g.constant(Tensor::vector(&[0i64]))?;
    g.add(node("ReduceSum", [("keepdims", Attr::Int(0))]), &[Some(weighed), Some(front)])
}
