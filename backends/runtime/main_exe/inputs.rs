//! The inputs of a run: from files, or random.
#![expect(unsafe_code, reason = "fills memory with elements")]

use core::ffi::CStr;

use crate::abi::{DLTensor, WeftPort};
use crate::bind;
use crate::elem::Elem;
use crate::extent;
use crate::main_exe::arguments::Arguments;
use crate::main_exe::files::{self, File, Path};
use crate::main_exe::header::MOST_AXES;
use crate::main_exe::{Exit, array, fail, misuse, npy};
use crate::memory::{Array, Block};
use crate::session::Session;
use crate::text::{Lossy, c_bytes};

/// The inputs of a run and the memory they lie in.
pub struct Inputs {
    /// One tensor per input.
    pub tensors: Array<DLTensor>,
    _data: Array<Block>,
    _shapes: Array<[i64; MOST_AXES]>,
}

/// Reads or makes all inputs.
pub fn gather(session: &Session, asked: &Arguments<'_>) -> Result<Inputs, Exit> {
    let ports = session.inputs();
    let mut data = array::<Block>(ports.len())?;
    let mut shapes = array::<[i64; MOST_AXES]>(ports.len())?;
    let mut tensors = array::<DLTensor>(ports.len())?;
    for (index, port) in ports.iter().enumerate() {
        let (block, shape) = (&mut data[index], &mut shapes[index]);
        let rank = if !asked.files[index].is_null() {
            // SAFETY: a part of an argument, up to its end.
            read(port, unsafe { CStr::from_ptr(asked.files[index]) }, block, shape)?
        } else if let Some(path) = in_folder(session, asked.folder, index) {
            read(port, files::c_path(&path), block, shape)?
        } else if let Some(seed) = asked.random {
            random(session, &asked.dims, Source { index, seed }, block, shape)?
        } else {
            let name = bind::name(port);
            return Err(misuse(format_args!(
                "found nothing for input `{name}`, expected `--input {name}=FILE`, `--inputs DIR` with its file, or \
                 `--random SEED`"
            )));
        };
        tensors[index] = bind::tensor(port, block.pointer(), shape.as_mut_ptr());
        tensors[index].ndim = rank as i32;
    }
    Ok(Inputs { tensors, _data: data, _shapes: shapes })
}

/// The file of an input in a folder: under its own name, or under that name made plain.
fn in_folder(session: &Session, folder: Option<&CStr>, index: usize) -> Option<Path> {
    let folder = folder?;
    let ports = session.inputs();
    let name = bind::name(&ports[index]).0;
    let plain = files::file_name(|port| bind::name(&ports[port]), index);
    let own = files::npy_path(folder, name).filter(|_| !name.contains(&b'/'));
    let there = |path: &Path| File::open(files::c_path(path)).is_ok();
    own.filter(there).or_else(|| files::npy_path(folder, plain.bytes()).filter(there))
}

fn read(
    port: &WeftPort,
    path: &CStr,
    block: &mut Block,
    shape: &mut [i64; MOST_AXES],
) -> Result<usize, Exit> {
    let header = npy::read(path, bind::dtype(port), block).map_err(|error| {
        let (name, path) = (bind::name(port), Lossy(path.to_bytes()));
        fail(format_args!("input `{name}` from `{path}`: {error}"))
    })?;
    *shape = header.shape;
    Ok(header.rank)
}

/// Where the random numbers of an input come from.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Which input it is.
    pub index: usize,
    /// The seed of all inputs.
    pub seed: u64,
}

fn random(
    session: &Session,
    dims: &[i64],
    source: Source,
    block: &mut Block,
    shape: &mut [i64; MOST_AXES],
) -> Result<usize, Exit> {
    let port = &session.inputs()[source.index];
    let name = bind::name(port);
    let rank = usize::from(port.rank);
    if rank > MOST_AXES {
        return Err(fail(format_args!(
            "input `{name}`: found {rank} axes, at most {MOST_AXES} can be random"
        )));
    }
    for (axis, dim) in bind::dims(port).iter().enumerate() {
        // SAFETY: the text is null or a C string in the model.
        let text = unsafe { c_bytes(dim.text) };
        let value = |symbol: &[u8]| {
            let sym = (0..dims.len()).find(|&sym| session.sym_name(sym) == symbol)?;
            Some(if dims[sym] < 0 { 1 } else { dims[sym] })
        };
        let extent = match usize::try_from(dim.sym) {
            _ if dim.fixed >= 0 => Some(dim.fixed),
            Ok(sym) => value(session.sym_name(sym)),
            Err(_) => extent::evaluate(text, value).filter(|&extent| extent >= 0),
        };
        shape[axis] = extent.ok_or_else(|| {
            let text = Lossy(text);
            misuse(format_args!("input `{name}`, axis {axis}: the extent `{text}` is unknown, give a file"))
        })?;
    }
    let bytes = bind::bytes(&shape[..rank], port.bits).filter(|&bytes| block.reserve(bytes));
    let Some(bytes) = bytes else {
        let shape = &shape[..rank];
        return Err(fail(format_args!("input `{name}`: memory for extents {shape:?} cannot be had")));
    };
    // SAFETY: the block holds that many bytes; they are zeroed so that none is ever uninitialised.
    let data = unsafe {
        block.pointer().write_bytes(0, bytes as usize);
        crate::text::slice_mut(block.pointer(), bytes as usize)
    };
    fill(port, source, data);
    Ok(rank)
}

/// Fills an input: floats are sums of four uniform numbers, scaled to mean 0 and variance 1; integers and booleans are
/// 0 or 1, which are valid as indices and masks nearly everywhere; other types stay zero.
pub fn fill(port: &WeftPort, source: Source, data: &mut [u8]) {
    let Some(elem) = Elem::new(port.dtype, port.bits) else { return };
    let start = mix(source.seed ^ mix(source.index as u64));
    for index in 0..data.len() / elem.bytes() {
        let bits = mix(start.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let value = if elem.is_float() { bell(bits) } else { (bits >> 63) as f64 };
        elem.store(data, index, elem.from_f64(value));
    }
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// The sum of the four 16-bit parts, of which each is uniform, scaled to variance 1.
fn bell(bits: u64) -> f64 {
    let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xffff).sum();
    (sum as f64 / 65_535.0 - 2.0) * 1.732_050_807_568_877_2
}
