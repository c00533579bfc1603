//! `.npy` files come back as they were written, and hostile ones are refused.
#![expect(unsafe_code, reason = "looks into blocks of memory")]

use std::ffi::{CStr, CString};
use std::path::PathBuf;

use weft_runtime::abi::{DLDataType, code};
use weft_runtime::main_exe::files::file_name;
use weft_runtime::main_exe::npy::{self, View};
use weft_runtime::memory::Block;
use weft_runtime::text::Lossy;

fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&folder).expect("the folder for tests can be made");
    folder.join(name)
}

fn c(path: &std::path::Path) -> CString {
    CString::new(path.to_str().expect("a plain path")).expect("a plain path")
}

fn dtype(code: u8, bits: u8) -> DLDataType {
    DLDataType { code, bits, lanes: 1 }
}

/// The extents and bytes read from a file.
fn read(path: &CStr, dtype: DLDataType) -> Result<(Vec<i64>, Vec<u8>), String> {
    let mut block = Block::new();
    let header = npy::read(path, dtype, &mut block).map_err(|error| error.to_string())?;
    let bytes = weft_runtime::bind::bytes(header.extents(), dtype.bits).unwrap_or(0);
    // SAFETY: reading has filled the block.
    let data = unsafe { std::slice::from_raw_parts(block.pointer(), bytes as usize) };
    Ok((header.extents().to_vec(), data.to_vec()))
}

#[test]
fn round_trips() {
    let file = c(&path("round.npy"));
    for (code, bits, descr) in [
        (code::BOOL, 8, "'|b1'"),
        (code::INT, 8, "'|i1'"),
        (code::INT, 64, "'<i8'"),
        (code::UINT, 16, "'<u2'"),
        (code::FLOAT, 16, "'<f2'"),
        (code::FLOAT, 32, "'<f4'"),
        (code::FLOAT, 64, "'<f8'"),
        (code::BFLOAT, 16, "'<f4'"),
        (code::COMPLEX, 64, "'<c8'"),
        (10, 8, "'|V1'"),
        (code::INT, 4, "'|i1'"),
        (code::UINT, 2, "'|u1'"),
    ] {
        for shape in [&[][..], &[0], &[3], &[2, 3, 5], &[4, 0, 2]] {
            let elements: i64 = shape.iter().product();
            let bytes = (elements as usize * usize::from(bits)).div_ceil(8);
            let mut data: Vec<u8> = (0..bytes).map(|at| (at * 29 % 120) as u8).collect();
            let spare = bytes * 8 - elements as usize * usize::from(bits);
            if let Some(last) = data.last_mut() {
                *last &= 0xff >> spare;
            }
            npy::write(&file, View { dtype: dtype(code, bits), shape, data: &data }).unwrap();
            let raw = std::fs::read(path("round.npy")).unwrap();
            let head = String::from_utf8_lossy(&raw[10..raw.len().min(128)]).into_owned();
            assert!(head.contains(descr), "{head}");
            assert_eq!(read(&file, dtype(code, bits)), Ok((shape.to_vec(), data)));
        }
    }
}

#[test]
fn small_integers_take_a_byte_each() {
    let file = c(&path("small.npy"));
    let data = [0x8f, 0x07];
    npy::write(&file, View { dtype: dtype(code::INT, 4), shape: &[3], data: &data }).unwrap();
    let raw = std::fs::read(path("small.npy")).unwrap();
    assert_eq!(raw[raw.len() - 3..], [0xff, 0xf8, 0x07]);
    assert_eq!(raw.len() % 64, 3);
}

#[test]
fn hostile_files_are_refused() {
    let file = path("hostile.npy");
    let head = |dictionary: &str| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((dictionary.len() as u16).to_le_bytes());
        bytes.extend(dictionary.as_bytes());
        bytes
    };
    let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, ), }";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "no .npy file"),
        (b"\x93NUMPY\x09\x00aaaaaaaa".to_vec(), "no .npy file"),
        (head(good), "found 0 bytes of elements, the header promises 8"),
        ([head(good), vec![0; 9]].concat(), "found 9 bytes of elements, the header promises 8"),
        (head(good)[..30].to_vec(), "the header is cut short"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "the header is cut short"),
        (b"\x93NUMPY\x02\x00\xff\xff".to_vec(), "the header is cut short"),
        (head(&good.replace("<f4", ">f4")), "big-endian"),
        (head(&good.replace("False", "True")), "Fortran"),
        (head(&good.replace("<f4", "<i4")), "found elements of type `<i4`, expected f32 (`<f4`)"),
        (head(&good.replace("(2, )", "(-2,)")), "no valid `shape`"),
        (head(&good.replace("(2, )", "(2,,3)")), "no valid `shape`"),
        (head(&good.replace("(2, )", "(99999999999999999999,)")), "no valid `shape`"),
        (head(&good.replace("(2, )", "(4611686018427387904, 4)")), "too large"),
        (head(&good.replace("(2, )", "(1000000000000,)")), "the header promises 4000000000000"),
        (head(&good.replace("(2, )", &format!("({})", "1,".repeat(40)))), "more than 32 axes"),
        (head("{'descr'"), "no valid `descr`"),
        (head("{}"), "no valid `descr`"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(&file, &bytes).unwrap();
        let error = read(&c(&file), dtype(code::FLOAT, 32)).unwrap_err();
        assert!(error.contains(expected), "{error} instead of {expected}");
    }
    assert!(read(c"/nowhere/x.npy", dtype(code::FLOAT, 32)).unwrap_err().contains("No such file"));
    assert!(read(c"/tmp", dtype(code::FLOAT, 32)).unwrap_err().contains("directory"));
}

#[test]
fn versions_two_and_other_spellings_are_read() {
    let file = path("other.npy");
    let dictionary = r#"{"shape": (2), "fortran_order": False, "descr": "<u2"}"#;
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend((dictionary.len() as u32).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.extend([0x80, 0x3f, 0, 0]);
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(read(&c(&file), dtype(code::BFLOAT, 16)), Ok((vec![2], vec![0x80, 0x3f, 0, 0])));
    assert_eq!(read(&c(&file), dtype(code::UINT, 16)), Ok((vec![2], vec![0x80, 0x3f, 0, 0])));
}

#[test]
fn names_become_files() {
    let names = ["a/b", "a:b", "a.b", "a_b", "ä"];
    let name = |index: usize| Lossy(names[index].as_bytes());
    let files: Vec<_> = (0..names.len()).map(|index| format!("{:?}", file_name(name, index))).collect();
    assert_eq!(files, ["a_b", "a_b~1", "a.b", "a_b~2", "_"]);
}
