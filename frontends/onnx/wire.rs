//! Measures an encoded model before it is decoded: a few bytes can ask for much memory.
//!
//! The walk follows the schema, keeps its own stack, touches no weights, and allocates nothing that
//! grows with the file.
use std::fmt;

/// Messages may lie this deep in each other; prost gives up at 100 without saying where.
pub(crate) const MAX_DEPTH: usize = 96;
/// What the decoded messages may take, the weights themselves not counted.
const MAX_STRUCTURE: u64 = 384 << 20;

/// Why an encoded model is not worth decoding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    /// The bytes end early or hold no field where one must be; at this offset.
    Broken(usize),
    /// Graphs lie too deep in each other.
    Deep,
    /// There are too many messages.
    Large,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(at) => write!(f, "the protobuf encoding breaks off at byte {at}"),
            Self::Deep => write!(f, "messages are nested more than {MAX_DEPTH} deep, the limit"),
            Self::Large => {
                write!(
                    f,
                    "its structure takes more than {} MiB besides the weights, the limit",
                    MAX_STRUCTURE >> 20
                )
            }
        }
    }
}

/// The kinds of messages that hold others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Training,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    TensorType,
    InnerType,
    Shape,
    Leaf,
}

/// Which field of which message holds which message. What is not listed holds plain data.
const HOLDS: &[(Kind, u64, Kind)] = &[
    (Kind::Model, 7, Kind::Graph),
    (Kind::Model, 8, Kind::Leaf),
    (Kind::Model, 14, Kind::Leaf),
    (Kind::Model, 20, Kind::Training),
    (Kind::Model, 25, Kind::Function),
    (Kind::Model, 26, Kind::Leaf),
    (Kind::Training, 1, Kind::Graph),
    (Kind::Training, 2, Kind::Graph),
    (Kind::Graph, 1, Kind::Node),
    (Kind::Graph, 5, Kind::Tensor),
    (Kind::Graph, 11, Kind::ValueInfo),
    (Kind::Graph, 12, Kind::ValueInfo),
    (Kind::Graph, 13, Kind::ValueInfo),
    (Kind::Graph, 14, Kind::Leaf),
    (Kind::Graph, 15, Kind::Sparse),
    (Kind::Graph, 16, Kind::Leaf),
    (Kind::Function, 7, Kind::Node),
    (Kind::Function, 9, Kind::Leaf),
    (Kind::Function, 11, Kind::Attribute),
    (Kind::Function, 12, Kind::ValueInfo),
    (Kind::Function, 14, Kind::Leaf),
    (Kind::Node, 5, Kind::Attribute),
    (Kind::Node, 9, Kind::Leaf),
    (Kind::Node, 10, Kind::Leaf),
    (Kind::Attribute, 5, Kind::Tensor),
    (Kind::Attribute, 6, Kind::Graph),
    (Kind::Attribute, 10, Kind::Tensor),
    (Kind::Attribute, 11, Kind::Graph),
    (Kind::Attribute, 14, Kind::Type),
    (Kind::Attribute, 15, Kind::Type),
    (Kind::Attribute, 22, Kind::Sparse),
    (Kind::Attribute, 23, Kind::Sparse),
    (Kind::Tensor, 13, Kind::Leaf),
    (Kind::Tensor, 16, Kind::Leaf),
    (Kind::Sparse, 1, Kind::Tensor),
    (Kind::Sparse, 2, Kind::Tensor),
    (Kind::ValueInfo, 2, Kind::Type),
    (Kind::ValueInfo, 4, Kind::Leaf),
    (Kind::Type, 1, Kind::TensorType),
    (Kind::Type, 4, Kind::InnerType),
    (Kind::Type, 5, Kind::InnerType),
    (Kind::Type, 8, Kind::TensorType),
    (Kind::Type, 9, Kind::InnerType),
    (Kind::InnerType, 1, Kind::Type),
    (Kind::InnerType, 2, Kind::Type),
    (Kind::TensorType, 2, Kind::Shape),
    (Kind::Shape, 1, Kind::Leaf),
];

impl Kind {
    fn held(self, field: u64) -> Option<Kind> {
        HOLDS.iter().find(|(holder, number, _)| *holder == self && *number == field).map(|(_, _, held)| *held)
    }

    /// About how many bytes the decoded message takes.
    fn cost(self) -> u64 {
        match self {
            Kind::Attribute => 1000,
            Kind::Graph | Kind::Function | Kind::Tensor | Kind::Training | Kind::Sparse => 400,
            Kind::Node | Kind::ValueInfo => 300,
            Kind::Model | Kind::Type | Kind::TensorType | Kind::InnerType | Kind::Shape | Kind::Leaf => 100,
        }
    }
}

/// What any other field takes when decoded.
const FIELD_COST: u64 = 24;

/// Whether decoding `bytes` as a model stays within the limits.
pub(crate) fn measure(bytes: &[u8]) -> Result<(), WireError> {
    let mut open = vec![(Kind::Model, bytes.len())];
    let (mut at, mut cost) = (0, 0u64);
    while let Some((kind, end)) = open.last().copied() {
        if at == end {
            open.pop();
            continue;
        }
        let (field, body) = field(bytes, at, end).ok_or(WireError::Broken(at))?;
        at = body.end;
        cost += FIELD_COST;
        if let Some(held) = kind.held(field).filter(|_| body.delimited) {
            cost += held.cost();
            at = body.start;
            open.push((held, body.end));
        }
        if open.len() > MAX_DEPTH {
            return Err(WireError::Deep);
        }
        if cost > MAX_STRUCTURE {
            return Err(WireError::Large);
        }
    }
    Ok(())
}

struct Body {
    start: usize,
    end: usize,
    delimited: bool,
}

/// The field number at `at` and where its content lies. Groups are not used by ONNX.
fn field(bytes: &[u8], at: usize, end: usize) -> Option<(u64, Body)> {
    let (key, start) = varint(bytes, at, end)?;
    let (start, length, delimited) = match key & 7 {
        0 => (start, varint(bytes, start, end)?.1 - start, false),
        1 => (start, 8, false),
        2 => {
            let (length, start) = varint(bytes, start, end)?;
            (start, usize::try_from(length).ok()?, true)
        }
        5 => (start, 4, false),
        _ => return None,
    };
    let stop = start.checked_add(length).filter(|stop| *stop <= end)?;
    (key >> 3 > 0).then_some((key >> 3, Body { start, end: stop, delimited }))
}

fn varint(bytes: &[u8], at: usize, end: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for (i, byte) in bytes.get(at..end)?.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, at + i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto};
    use prost::Message;

    fn nested(depth: usize) -> Vec<u8> {
        let mut graph = GraphProto::default();
        for _ in 0..depth {
            let attribute = AttributeProto { g: Some(std::mem::take(&mut graph)), ..Default::default() };
            let node = NodeProto { attribute: vec![attribute], ..Default::default() };
            graph.node.push(node);
        }
        ModelProto { graph: Some(graph), ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn what_is_measured_as_fine_can_be_decoded() {
        let deepest = (MAX_DEPTH - 2) / 3;
        assert_eq!(measure(&nested(deepest)), Ok(()));
        assert!(ModelProto::decode(&nested(deepest)[..]).is_ok());
        assert_eq!(measure(&nested(deepest + 1)), Err(WireError::Deep));
    }

    #[test]
    fn bytes_that_ask_for_much_memory_are_refused() {
        let node = [0x0a, 0x00];
        let nodes = node.repeat(1 << 21);
        let mut model = vec![0x3a];
        prost::encoding::encode_varint(nodes.len() as u64, &mut model);
        model.extend(nodes);
        assert_eq!(measure(&model), Err(WireError::Large));
    }

    #[test]
    fn broken_encodings_are_found() {
        for bytes in [&[0x3a][..], &[0x3a, 5, 1], &[0x80; 20], &[0x07], &[0x00, 0x00]] {
            assert!(matches!(measure(bytes), Err(WireError::Broken(_))), "{bytes:?}");
        }
    }
}
