//! `scan`: running totals along an axis, each lane its own row.
use super::domain::Domain;
use super::map::{Grid, lanes_loop};
use super::{Combine, Machine, Scheduled};
use crate::math;
use crate::nest::{Access, BufferId, Builder, Hint, Reg, Ty};
use crate::term::{Emitter, Index, Point, TermId, Terms};
use weft_ir::Dim;

/// What to compute: `out[index(axes)]` is what `root` combines to over all places up to this one along
/// an axis.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The extents of the axes.
    pub dims: Vec<Dim>,
    /// The axis along which totals run.
    pub axis: usize,
    /// What is combined; its type is that of the totals.
    pub root: TermId,
    /// How.
    pub combine: Combine,
    /// Whether the element at a place does not count there.
    pub exclusive: bool,
    /// Whether totals run from the end.
    pub reverse: bool,
    /// Where the totals go.
    pub out: Index,
    /// The element type they are stored as.
    pub elem: weft_ir::DType,
}

/// Writes the kernel.
pub fn scan(name: &str, machine: &Machine, terms: &Terms, what: &Scan) -> Scheduled {
    let domain = Domain::new(terms.clone(), what.dims.clone(), vec![what.root], what.out.clone());
    let last = what.dims.len() - 1;
    let lanes = if last == what.axis { 1 } else { machine.lanes(terms.dtype(what.root)) };
    let mut b = Builder::new(name, &format!("scan x{lanes}"));
    let used = domain.sources();
    let buffers = domain.buffers(&mut b, &used);
    let out = b.buffer("out", what.elem, Access::Write);
    let mut rows = what.dims.clone();
    rows[what.axis] = Dim::fixed(1);
    let grid = Grid::weighted(&rows, last, &what.dims[what.axis..=what.axis]);
    let writer = Writer { what, domain: &domain, buffers: &buffers, out };
    grid.rows(&mut b, |b, axes, range| {
        lanes_loop(b, range, lanes, |b, col, lanes, mask| {
            let mut axes = axes.to_vec();
            axes[last] = col;
            let lanes = (lanes > 1).then_some((last as u32, lanes));
            writer.row(b, Point { axes, shift: None, lanes, mask });
        });
    });
    Scheduled { kernel: b.finish(), sources: used, tasks: grid.tasks() }
}

struct Writer<'a> {
    what: &'a Scan,
    domain: &'a Domain,
    buffers: &'a [BufferId],
    out: BufferId,
}

impl Writer<'_> {
    /// One row for each lane.
    fn row(&self, b: &mut Builder, point: Point) {
        let dtype = self.domain.terms.dtype(self.what.root);
        let lanes = point.lanes.map_or(1, |l| l.1);
        let neutral = b.constant(Ty::vector(dtype, lanes), self.what.combine.neutral(dtype));
        let total = b.var(neutral);
        let (zero, extent) = (b.index(0), b.extent(&self.what.dims[self.what.axis]));
        b.for_each(zero, extent, 1, Hint::AsWritten, |b, step| {
            let at = if self.what.reverse {
                let last = b.index(-1);
                let last = b.add(extent, last);
                b.sub(last, step)
            } else {
                step
            };
            let mut point = point.clone();
            point.axes[self.what.axis] = at;
            let before = b.get(total);
            let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point);
            let value = emitter.value(b, self.what.root);
            let after = math::emit(b, self.what.combine.function(), dtype, &[before, value]);
            b.set(total, after);
            self.store(b, &mut emitter, if self.what.exclusive { before } else { after });
        });
    }

    fn store(&self, b: &mut Builder, emitter: &mut Emitter<'_>, value: Reg) {
        let value = b.cast(value, self.what.elem);
        emitter.store(b, self.out, &self.what.out, value);
    }
}
