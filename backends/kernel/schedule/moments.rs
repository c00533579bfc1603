//! `moments`: what brings groups of channels to mean 0 and variance 1, for images with channels last.
//!
//! The first kernel adds up the elements of each channel, and their squares, over blocks of pixels;
//! the second one joins blocks and groups and leaves a mean and a factor for each channel. Sums
//! are taken of the distance to the channel's first element, so that squares do not cancel.
use super::Machine;
use super::map::{GRAIN, lanes_loop};
use crate::nest::{Access, Binary, BufferId, Builder, Hint, Kernel, Reg, Scalar, Ty, Unary, Var};
use weft_ir::{DType, Dim};

/// What to compute.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Element type of everything.
    pub dtype: DType,
    /// Images.
    pub batch: Dim,
    /// Pixels of an image.
    pub pixels: Dim,
    /// Channels of a pixel.
    pub channels: i64,
    /// Channels of a group.
    pub each: i64,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Vectors that are added up together.
const TOGETHER: i64 = 4;

impl Moments {
    /// Pixels of a block.
    fn per_block(&self) -> i64 {
        (2 * GRAIN / self.channels.max(1)).max(1)
    }

    /// Blocks of an image.
    pub fn blocks(&self) -> Dim {
        self.pixels.div_ceil(&Dim::fixed(self.per_block()))
    }

    fn lanes(&self, machine: &Machine) -> u32 {
        machine.lanes(self.dtype)
    }

    /// The sums of blocks: from the image to `[image, block, 2, channel]`. There is a task for each
    /// block of each image.
    pub fn sums(&self, name: &str, machine: &Machine) -> (Kernel, Dim) {
        let lanes = self.lanes(machine);
        let mut b = Builder::new(name, &format!("moments x{lanes}"));
        let image = b.buffer("image", self.dtype, Access::Read);
        let sums = b.buffer("sums", self.dtype, Access::Write);
        let (task, blocks) = (b.task(), b.extent(&self.blocks()));
        let (number, block) = (b.div(task, blocks), b.rem(task, blocks));
        let (per, pixels, channels) =
            (b.index(self.per_block()), b.extent(&self.pixels), b.index(self.channels));
        let start = b.mul(block, per);
        let end = b.add(start, per);
        let end = b.min(end, pixels);
        let size = b.mul(pixels, channels);
        let base = b.mul(number, size);
        let two = b.index(2 * self.channels);
        let out = b.mul(task, two);
        let walk = Walk { what: self, image, sums, base, out, lanes };
        walk.all(&mut b, (start, end));
        (b.finish(), self.batch.mul(&self.blocks()))
    }

    /// From the image, the sums and the channels' own factors to `[image, 2, channel]`: what is
    /// subtracted from elements, and what they are multiplied with then. There is a task for each
    /// image.
    pub fn joined(&self, name: &str, machine: &Machine) -> (Kernel, Dim) {
        let lanes = self.lanes(machine);
        let mut b = Builder::new(name, &format!("join-moments x{lanes}"));
        let names = ["image", "sums", "factors"];
        let [image, sums, factors] = names.map(|name| b.buffer(name, self.dtype, Access::Read));
        let out = b.buffer("out", self.dtype, Access::Write);
        let room = if self.each == 1 { None } else { Some(self.room(&mut b)) };
        let join = Join { what: self, image, sums, factors, out, room, lanes };
        join.channels(&mut b);
        if let Some(room) = room {
            join.groups(&mut b, room);
        }
        // Nothing is read of images without pixels.
        (b.finish(), self.batch.mul(&self.pixels.smaller(&Dim::fixed(1))))
    }

    fn room(&self, b: &mut Builder) -> [BufferId; 2] {
        let room = Access::Local(u32::try_from(self.channels).unwrap_or(u32::MAX));
        ["means", "squares"].map(|name| b.buffer(name, self.dtype, room))
    }
}

/// Adds up the pixels of a block.
struct Walk<'a> {
    what: &'a Moments,
    image: BufferId,
    sums: BufferId,
    /// Where the image starts.
    base: Reg,
    /// Where the sums go.
    out: Reg,
    lanes: u32,
}

impl Walk<'_> {
    fn all(&self, b: &mut Builder, pixels: (Reg, Reg)) {
        let width = TOGETHER * i64::from(self.lanes);
        let rest = self.what.channels % width;
        let (zero, whole) = (b.index(0), b.index(self.what.channels - rest));
        b.for_each(zero, whole, width, Hint::AsWritten, |b, first| {
            self.some(b, pixels, (first, TOGETHER), None);
        });
        if rest > 0 {
            let lanes = i64::from(self.lanes);
            let left = b.index(rest % lanes);
            let mask = (rest % lanes > 0).then(|| b.first_lanes(left, self.lanes));
            self.some(b, pixels, (whole, (rest as u64).div_ceil(lanes as u64) as i64), mask);
        }
    }

    /// The sums of some vectors of channels, the last of which may have a mask.
    fn some(
        &self,
        b: &mut Builder,
        (start, end): (Reg, Reg),
        (first, vectors): (Reg, i64),
        mask: Option<Reg>,
    ) {
        let lanes = i64::from(self.lanes);
        let mask_of = |vector: i64| mask.filter(|_| vector + 1 == vectors);
        let at = b.add(self.base, first);
        let origins: Vec<Reg> =
            (0..vectors).map(|v| b.load_masked(self.image, at, v * lanes, self.lanes, mask_of(v))).collect();
        let zero = b.constant(Ty::vector(self.what.dtype, self.lanes), Scalar::Float(0.0));
        let totals: Vec<(Var, Var)> = (0..vectors).map(|_| (b.var(zero), b.var(zero))).collect();
        let channels = b.index(self.what.channels);
        b.for_each(start, end, 1, Hint::AsWritten, |b, pixel| {
            let distance = b.mul(pixel, channels);
            let at = b.add(at, distance);
            for (v, ((sum, squares), origin)) in totals.iter().zip(&origins).enumerate() {
                let x = b.load_masked(self.image, at, v as i64 * lanes, self.lanes, mask_of(v as i64));
                let x = b.binary(Binary::Sub, x, *origin);
                let before = b.get(*sum);
                let after = b.binary(Binary::Add, before, x);
                b.set(*sum, after);
                let before = b.get(*squares);
                let after = b.fma(x, x, before);
                b.set(*squares, after);
            }
        });
        let out = b.add(self.out, first);
        for (v, (sum, squares)) in totals.iter().enumerate() {
            for (total, skip) in [(sum, 0), (squares, self.what.channels)] {
                let value = b.get(*total);
                let offset = skip + v as i64 * lanes;
                b.store_masked(self.sums, out, offset, value, mask_of(v as i64));
            }
        }
    }
}

/// Joins the sums of one image.
struct Join<'a> {
    what: &'a Moments,
    image: BufferId,
    sums: BufferId,
    factors: BufferId,
    out: BufferId,
    /// Means and squares of channels, where groups are made of several.
    room: Option<[BufferId; 2]>,
    lanes: u32,
}

impl Join<'_> {
    /// The mean of each channel, and the sum of the squares of the distances to it.
    fn channels(&self, b: &mut Builder) {
        let range = (b.index(0), b.index(self.what.channels));
        lanes_loop(b, range, self.lanes, |b, first, lanes, mask| {
            let [sum, squares] = self.totals(b, (first, lanes), mask);
            let pixels = self.number(b, &self.what.pixels, lanes);
            let (task, channels) = (b.task(), b.index(self.what.channels));
            let all = b.extent(&self.what.pixels);
            let size = b.mul(all, channels);
            let image = b.mul(task, size);
            let at = b.add(image, first);
            let origin = b.load_masked(self.image, at, 0, lanes, mask);
            let distance = b.binary(Binary::Div, sum, pixels);
            let mean = b.binary(Binary::Add, origin, distance);
            let less = b.binary(Binary::Mul, sum, distance);
            let squares = b.binary(Binary::Sub, squares, less);
            match self.room {
                Some([means, rest]) => {
                    b.store_masked(means, first, 0, mean, mask);
                    b.store_masked(rest, first, 0, squares, mask);
                }
                None => {
                    let inverse = self.inverse(b, squares, pixels);
                    self.store(b, (first, mask), mean, inverse);
                }
            }
        });
    }

    /// The sums of all blocks.
    fn totals(&self, b: &mut Builder, (first, lanes): (Reg, u32), mask: Option<Reg>) -> [Reg; 2] {
        let zero = b.constant(Ty::vector(self.what.dtype, lanes), Scalar::Float(0.0));
        let totals = [b.var(zero), b.var(zero)];
        let (task, blocks, two) = (b.task(), b.extent(&self.what.blocks()), b.index(2 * self.what.channels));
        let start = b.mul(task, blocks);
        let none = b.index(0);
        b.for_each(none, blocks, 1, Hint::AsWritten, |b, block| {
            let number = b.add(start, block);
            let skip = b.mul(number, two);
            let at = b.add(skip, first);
            for (total, offset) in totals.iter().zip([0, self.what.channels]) {
                let part = b.load_masked(self.sums, at, offset, lanes, mask);
                let before = b.get(*total);
                let after = b.binary(Binary::Add, before, part);
                b.set(*total, after);
            }
        });
        totals.map(|total| b.get(total))
    }

    /// Joins the channels of each group.
    fn groups(&self, b: &mut Builder, [means, rest]: [BufferId; 2]) {
        let (none, end) = (b.index(0), b.index(self.what.channels));
        b.for_each(none, end, self.what.each, Hint::AsWritten, |b, first| {
            let each = b.index(self.what.each);
            let last = b.add(first, each);
            let total = self.added(b, (first, last), &|b, at| b.load(means, at, 0, 1));
            let count = self.number(b, &Dim::fixed(self.what.each), 1);
            let mean = b.binary(Binary::Div, total, count);
            let pixels = self.number(b, &self.what.pixels, 1);
            let squares = self.added(b, (first, last), &|b, at| {
                let (own, rest) = (b.load(means, at, 0, 1), b.load(rest, at, 0, 1));
                let distance = b.binary(Binary::Sub, own, mean);
                let square = b.binary(Binary::Mul, distance, distance);
                b.fma(square, pixels, rest)
            });
            let all = b.binary(Binary::Mul, pixels, count);
            let inverse = self.inverse(b, squares, all);
            b.for_each(first, last, 1, Hint::AsWritten, |b, at| self.store(b, (at, None), mean, inverse));
        });
    }

    fn added(
        &self,
        b: &mut Builder,
        (first, last): (Reg, Reg),
        part: &dyn Fn(&mut Builder, Reg) -> Reg,
    ) -> Reg {
        let zero = b.constant(Ty::scalar(self.what.dtype), Scalar::Float(0.0));
        let total = b.var(zero);
        b.for_each(first, last, 1, Hint::AsWritten, |b, at| {
            let part = part(b, at);
            let before = b.get(total);
            let after = b.binary(Binary::Add, before, part);
            b.set(total, after);
        });
        b.get(total)
    }

    /// An extent as a number.
    fn number(&self, b: &mut Builder, dim: &Dim, lanes: u32) -> Reg {
        let number = b.extent(dim);
        let number = b.cast(number, self.what.dtype);
        b.splat(number, lanes)
    }

    /// `1 / sqrt(squares / count + epsilon)`.
    fn inverse(&self, b: &mut Builder, squares: Reg, count: Reg) -> Reg {
        let ty = b.ty(squares);
        let (zero, one) = (b.constant(ty, Scalar::Float(0.0)), b.constant(ty, Scalar::Float(1.0)));
        let variance = b.binary(Binary::Div, squares, count);
        // Rounding may leave less than nothing; NaN stays.
        let variance = b.binary(Binary::Max, zero, variance);
        let epsilon = b.constant(ty, Scalar::Float(self.what.epsilon));
        let sum = b.binary(Binary::Add, variance, epsilon);
        let root = b.unary(Unary::Sqrt, sum);
        b.binary(Binary::Div, one, root)
    }

    /// Stores the mean and the factor of some channels.
    fn store(&self, b: &mut Builder, (first, mask): (Reg, Option<Reg>), mean: Reg, inverse: Reg) {
        let factor = b.load_masked(self.factors, first, 0, b.ty(mean).lanes, mask);
        let factor = b.binary(Binary::Mul, factor, inverse);
        let (task, two) = (b.task(), b.index(2 * self.what.channels));
        let start = b.mul(task, two);
        let at = b.add(start, first);
        b.store_masked(self.out, at, 0, mean, mask);
        b.store_masked(self.out, at, self.what.channels, factor, mask);
    }
}
