//! Constant data as an object file of its own, written piece by piece: LLVM never sees it.
use crate::error::Error;
use object::elf;
use object::write::elf::{FileHeader, SectionHeader, SectionIndex, Sym, Writer};
use object::write::{StreamingBuffer, StringId};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use weft_kernel::program::{Program, WeightData};

/// The symbol at the first byte.
pub(crate) const SYMBOL: &str = "weft_weights";

/// Every piece begins at a multiple of this.
const ALIGNMENT: u64 = 64;

/// The section of large data of the x86-64 ABI: linkers lay it behind everything else, so that code
/// and small data stay within two gigabytes of each other however many weights there are.
const SECTION: &[u8] = b".lrodata.weft_weights";
/// `SHF_X86_64_LARGE`: the flag of such sections.
const LARGE: elf::SectionFlags = elf::SectionFlags(0x1000_0000);

/// Where each weight begins, and how many bytes there are in all.
pub(crate) fn layout(program: &Program) -> (Vec<u64>, u64) {
    let mut end = 0u64;
    let begins = program
        .weights
        .iter()
        .map(|weight| {
            let begin = end.next_multiple_of(ALIGNMENT);
            end = begin.saturating_add(weight.data.len() as u64);
            begin
        })
        .collect();
    (begins, end)
}

/// Writes the object; there is none when there are no weights. Weights that take no bytes have a place, too.
pub(crate) fn write(program: &Program, path: &Path) -> Result<bool, Error> {
    let (begins, bytes) = layout(program);
    if program.weights.is_empty() {
        return Ok(false);
    }
    let bytes = bytes.max(1);
    let failed = |source| Error::File { path: path.to_path_buf(), source };
    let file = File::create(path).map_err(failed)?;
    let mut buffer = StreamingBuffer::new(BufWriter::new(file));
    write_elf(program, &begins, bytes, &mut buffer).map_err(|e| Error::Llvm(format!("weights: {e}")))?;
    buffer.result().map_err(failed)?;
    std::io::Write::flush(&mut buffer.into_inner()).map_err(failed)?;
    Ok(true)
}

/// What was reserved before writing.
struct Layout {
    symbol: StringId,
    data: StringId,
    stack: StringId,
    section: SectionIndex,
    offset: u64,
    bytes: u64,
}

fn write_elf<W: std::io::Write>(
    program: &Program,
    begins: &[u64],
    bytes: u64,
    buffer: &mut StreamingBuffer<W>,
) -> object::write::Result<()> {
    let mut writer = Writer::new(object::Endianness::Little, true, buffer);
    let layout = reserve(&mut writer, bytes)?;
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_REL,
        e_machine: elf::EM_X86_64,
        e_entry: 0,
        e_flags: elf::FileFlags(0),
    })?;
    writer.write_align(ALIGNMENT);
    write_data(program, begins, bytes, &mut writer);
    writer.write_null_symbol();
    writer.write_symbol(&Sym {
        section: Some(layout.section.0),
        st_name: writer.string_offset(Some(layout.symbol)),
        st_info: elf::SymbolInfo::new(elf::STB_GLOBAL, elf::STT_OBJECT),
        st_other: elf::STV_HIDDEN.into(),
        st_shndx: elf::SymbolSection(0),
        st_value: 0,
        st_size: bytes,
    });
    writer.write_strtab();
    writer.write_shstrtab();
    write_section_headers(&mut writer, &layout);
    Ok(())
}

fn reserve(writer: &mut Writer<'_>, bytes: u64) -> object::write::Result<Layout> {
    let symbol = writer.add_string(SYMBOL.as_bytes());
    let data = writer.add_section_name(SECTION);
    let stack = writer.add_section_name(b".note.GNU-stack");
    writer.reserve_file_header();
    writer.reserve_null_section_index();
    let section = writer.reserve_section_index();
    writer.reserve_section_index();
    writer.reserve_symtab_section_index();
    writer.reserve_strtab_section_index();
    writer.reserve_shstrtab_section_index();
    let offset = writer.reserve(bytes, ALIGNMENT);
    writer.reserve_null_symbol_index();
    writer.reserve_symbol_index(Some(section));
    writer.reserve_symtab();
    writer.reserve_strtab()?;
    writer.reserve_shstrtab()?;
    writer.reserve_section_headers();
    Ok(Layout { symbol, data, stack, section, offset, bytes })
}

fn write_section_headers(writer: &mut Writer<'_>, layout: &Layout) {
    let data = SectionHeader {
        sh_name: writer.section_name_offset(Some(layout.data)),
        sh_type: elf::SHT_PROGBITS,
        sh_flags: elf::SHF_ALLOC | LARGE,
        sh_addr: 0,
        sh_offset: layout.offset,
        sh_size: layout.bytes,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: ALIGNMENT,
        sh_entsize: 0,
    };
    let stack = SectionHeader {
        sh_name: writer.section_name_offset(Some(layout.stack)),
        sh_flags: elf::SectionFlags(0),
        sh_offset: layout.offset + layout.bytes,
        sh_size: 0,
        sh_addralign: 1,
        ..data
    };
    writer.write_null_section_header();
    writer.write_section_header(&data);
    writer.write_section_header(&stack);
    writer.write_symtab_section_header(1);
    writer.write_strtab_section_header();
    writer.write_shstrtab_section_header();
}

fn write_data(program: &Program, begins: &[u64], bytes: u64, writer: &mut Writer<'_>) {
    let mut end = 0;
    for (weight, begin) in program.weights.iter().zip(begins) {
        writer.write(&[0; ALIGNMENT as usize][..(begin - end) as usize]);
        match &weight.data {
            WeightData::Plain(data) => writer.write(data),
            WeightData::Packed(_, make) => writer.write(&make()),
        }
        end = begin + weight.data.len() as u64;
    }
    if end < bytes {
        writer.write(&[0]);
    }
}
