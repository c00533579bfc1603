//! What goes into a model and what comes out.
use std::fmt;
use weft_ir::{Graph, TensorType, Value};

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// As the model names it.
    pub name: String,
    /// Its type; extents may be symbolic.
    pub ty: TensorType,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.ty)
    }
}

/// The inputs and outputs of something that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ports {
    /// In order.
    pub inputs: Vec<Port>,
    /// In order.
    pub outputs: Vec<Port>,
}

impl Ports {
    /// Those of a graph.
    pub fn of_graph(graph: &Graph) -> Self {
        let input = |id| {
            let value = Value { node: id, slot: 0 };
            Port { name: graph.name_of(value).to_string(), ty: graph.ty(value).clone() }
        };
        let outputs = graph.outputs().iter().zip(graph.output_names());
        let output =
            |(value, name): (&Value, &String)| Port { name: name.clone(), ty: graph.ty(*value).clone() };
        Self {
            inputs: graph.inputs().iter().copied().map(input).collect(),
            outputs: outputs.map(output).collect(),
        }
    }

    /// Those of a compiled library.
    #[cfg(feature = "llvm")]
    pub fn of_library(library: &weft_load::Executable) -> Self {
        let ports = |ports: &[weft_load::Port]| ports.iter().map(of_port).collect();
        Self { inputs: ports(library.inputs()), outputs: ports(library.outputs()) }
    }
}

#[cfg(feature = "llvm")]
fn of_port(port: &weft_load::Port) -> Port {
    let dim = |extent: &weft_load::Extent| match extent {
        weft_load::Extent::Fixed(n) => weft_ir::Dim::fixed(i64::try_from(*n).unwrap_or(i64::MAX)),
        weft_load::Extent::Symbolic(text) => {
            weft_ir::text::parse_dim(text).unwrap_or_else(|_| weft_ir::Dim::unknown())
        }
    };
    Port { name: port.name.clone(), ty: TensorType::new(port.dtype, port.dims.iter().map(dim).collect()) }
}
