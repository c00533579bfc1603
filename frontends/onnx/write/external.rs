//! Weights in a file of their own, for models that one message cannot hold.
use crate::proto::tensor_proto::DataLocation;
use crate::proto::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use bytes::Bytes;

/// Weights smaller than this stay in the model.
const SMALL: usize = 1024;
/// Where weights begin: at multiples of a page, so that they can be mapped.
const PAGE: u64 = 4096;

/// Takes the bytes of large weights out of a model; they lie in `file` now. Gives where, and the bytes.
pub(super) fn move_out(model: &mut ModelProto, file: &str) -> Vec<(u64, Bytes)> {
    let (mut data, mut end) = (Vec::new(), 0);
    let mut open: Vec<&mut GraphProto> = model.graph.iter_mut().collect();
    while let Some(graph) = open.pop() {
        for weight in &mut graph.initializer {
            let large = weight.raw_data.take_if(|bytes| bytes.len() >= SMALL);
            let Some(bytes) = large else { continue };
            let offset = u64::next_multiple_of(end, PAGE);
            end = offset + bytes.len() as u64;
            refer(weight, file, offset, bytes.len());
            data.push((offset, bytes));
        }
        open.extend(graph.node.iter_mut().flat_map(|node| &mut node.attribute).filter_map(|a| a.g.as_mut()));
    }
    data
}

/// Says where the bytes of a weight are.
fn refer(weight: &mut TensorProto, file: &str, offset: u64, length: usize) {
    let entry =
        |key: &str, value: String| StringStringEntryProto { key: Some(key.to_string()), value: Some(value) };
    weight.data_location = Some(DataLocation::External as i32);
    weight.external_data = vec![
        entry("location", file.to_string()),
        entry("offset", offset.to_string()),
        entry("length", length.to_string()),
    ];
}
