//! A model as the bytes of its file. They come in pieces, so that those of large weights are the module's own
//! and no copies: the fields of a message follow each other by their tags, as `prost` writes them.
use crate::proto::{GraphProto, ModelProto, TensorProto};
use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::mem::take;

/// Weights that are smaller are copied.
const SMALL: usize = 4096;

/// The tags of what lies between other fields of its message.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
const RAW_DATA: u32 = 9;

/// The bytes of a model.
pub(super) fn pieces(mut model: ModelProto) -> Vec<Bytes> {
    let mut pieces = Pieces::default();
    let graph = model.graph.take();
    let behind = ModelProto {
        opset_import: take(&mut model.opset_import),
        metadata_props: take(&mut model.metadata_props),
        training_info: take(&mut model.training_info),
        functions: take(&mut model.functions),
        configuration: take(&mut model.configuration),
        ..ModelProto::default()
    };
    pieces.fields(&model);
    if let Some(graph) = graph {
        pieces.field(GRAPH, graph.encoded_len());
        pieces.graph(graph);
    }
    pieces.fields(&behind);
    pieces.finish()
}

/// What is written so far.
#[derive(Default)]
struct Pieces {
    done: Vec<Bytes>,
    last: Vec<u8>,
}

impl Pieces {
    /// All fields of a message.
    fn fields(&mut self, message: &impl Message) {
        self.last.extend(message.encode_to_vec());
    }

    /// The beginning of a field of so many bytes.
    fn field(&mut self, tag: u32, length: usize) {
        encode_key(tag, WireType::LengthDelimited, &mut self.last);
        encode_varint(length as u64, &mut self.last);
    }

    fn graph(&mut self, mut graph: GraphProto) {
        let before =
            GraphProto { node: take(&mut graph.node), name: graph.name.take(), ..GraphProto::default() };
        self.fields(&before);
        for weight in take(&mut graph.initializer) {
            self.field(INITIALIZER, weight.encoded_len());
            self.weight(weight);
        }
        self.fields(&graph);
    }

    fn weight(&mut self, mut weight: TensorProto) {
        let Some(data) = weight.raw_data.take_if(|data| data.len() >= SMALL) else {
            return self.fields(&weight);
        };
        let behind = TensorProto {
            double_data: take(&mut weight.double_data),
            uint64_data: take(&mut weight.uint64_data),
            doc_string: weight.doc_string.take(),
            external_data: take(&mut weight.external_data),
            data_location: weight.data_location.take(),
            metadata_props: take(&mut weight.metadata_props),
            ..TensorProto::default()
        };
        self.fields(&weight);
        self.field(RAW_DATA, data.len());
        self.done.push(take(&mut self.last).into());
        self.done.push(data);
        self.fields(&behind);
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.done.push(self.last.into());
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::pieces;
    use crate::proto::{
        GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
        ValueInfoProto,
    };
    use prost::Message;

    #[test]
    fn pieces_are_what_one_message_is() {
        let text = |text: &str| Some(text.to_string());
        let weight = |bytes: usize| TensorProto {
            dims: vec![bytes as i64],
            name: text("w"),
            raw_data: Some(vec![7u8; bytes].into()),
            doc_string: text("behind the data"),
            data_location: Some(0),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            node: vec![NodeProto { op_type: text("Relu"), ..NodeProto::default() }],
            name: text("g"),
            initializer: vec![weight(3), weight(10_000), weight(5000)],
            doc_string: text("behind the weights"),
            input: vec![ValueInfoProto { name: text("x"), ..ValueInfoProto::default() }],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: Some(10),
            producer_name: text("weft"),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: text(""), version: Some(21) }],
            metadata_props: vec![StringStringEntryProto { key: text("k"), value: text("v") }],
            ..ModelProto::default()
        };
        let found = pieces(model.clone());
        assert_eq!(found.len(), 5, "two weights are large");
        assert_eq!(found.concat(), model.encode_to_vec());
    }
}
