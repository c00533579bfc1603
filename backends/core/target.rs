//! What the processor that will run the code can do, as far as schedules ask.
use weft_ir::DType;

/// The vector instructions of an x86-64 processor, each level including those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// SSE2.
    V1,
    /// SSE4.2.
    V2,
    /// AVX2, FMA and F16C.
    V3,
    /// AVX-512 F, CD, BW, DQ and VL.
    V4,
}

/// A processor as schedules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, as LLVM knows it.
    pub cpu: String,
    /// Its vector instructions.
    pub level: Level,
    /// Whether it multiplies and adds four bytes at a time (AVX-512 VNNI, or AVX-VNNI where
    /// there is no AVX-512).
    pub vnni: bool,
    /// Whether it multiplies and adds pairs of `bf16` (AVX-512 BF16).
    pub bf16: bool,
    /// Bytes of the first level data cache of one core.
    pub l1: u64,
    /// Bytes of the second level cache of one core.
    pub l2: u64,
    /// Bytes of the last level cache, shared.
    pub l3: u64,
}

impl Target {
    /// A processor of a level, with caches as they commonly are.
    pub fn of_level(cpu: &str, level: Level) -> Self {
        let (l1, l2, l3) = (32 << 10, if level == Level::V4 { 1 << 20 } else { 256 << 10 }, 8 << 20);
        Self { cpu: cpu.to_string(), level, vnni: false, bf16: false, l1, l2, l3 }
    }

    /// Bytes of a vector register.
    pub fn vector_bytes(&self) -> u32 {
        match self.level {
            Level::V1 | Level::V2 => 16,
            Level::V3 => 32,
            Level::V4 => 64,
        }
    }

    /// How many elements a vector register holds.
    pub fn lanes(&self, elem: DType) -> u32 {
        (self.vector_bytes() * 8).checked_div(elem.bits()).unwrap_or(1)
    }

    /// How many vector registers there are.
    pub fn registers(&self) -> u32 {
        if self.level == Level::V4 { 32 } else { 16 }
    }

    /// Whether `a * b + c` is one instruction; without it the product is rounded too.
    pub fn fma(&self) -> bool {
        self.level >= Level::V3
    }

    /// Whether it brings what is read in a row from memory ahead of its use faster than if it is asked for. Zen 4 does:
    /// a thread that reads codes of 4 bits goes through 27 GB/s by itself and through 17 to 22 if it asks, however far
    /// ahead and into whichever cache. The look-ahead of Intel's ends with a page of 4 KB, so that a thread reads at
    /// half the speed unless it asks.
    pub fn looks_ahead(&self) -> bool {
        self.cpu == "znver4"
    }

    /// Whether a masked load or store costs about what a plain one does.
    pub fn masks(&self) -> bool {
        self.level == Level::V4
    }
}
