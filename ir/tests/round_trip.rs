//! Random modules survive print and parse; broken texts never make the parser panic.
mod toys;

use proptest::prelude::*;
use std::sync::Arc;
use toys::{ops, round};
use weft_ir::text::{NoWeights, Style, print, weights_by_digest};
use weft_ir::verify::verify;
use weft_ir::{Attr, DType, Def, Dim, Graph, Module, Node, Stage, Tensor, TensorType, Value};

/// One node to be: what it is, which values it takes, what its results are called, and attributes.
type Recipe = (u8, [u16; 3], String, Vec<(u8, Attr)>, TensorType);

const ATTRS: [&str; 10] =
    ["dims", "float", "floats", "int", "ints", "odd name", "str", "strs", "tensor", "to"];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,4}",
        "/?[a-z]{1,3}(/[a-zA-Z_.0-9]{0,4}){0,3}(:0)?",
        any::<String>(),
        Just("a//b".to_string()),
        Just("return".to_string()),
    ]
}

fn dim() -> impl Strategy<Value = Dim> {
    prop_oneof![
        any::<i64>().prop_map(Dim::fixed),
        name().prop_map(|n| Dim::symbol(&n)),
        ("[A-Z]", 0i64..9).prop_map(|(n, k)| Dim::symbol(&n).plus(-k).div_floor(&Dim::fixed(2)).plus(1)),
        Just(Dim::unknown()),
    ]
}

fn dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(DType::ALL)
}

fn ty() -> impl Strategy<Value = TensorType> {
    let dims = prop::option::weighted(0.9, prop::collection::vec(dim(), 0..4));
    (dtype(), dims).prop_map(|(dtype, dims)| TensorType { dtype, dims })
}

/// Any bits that the written form keeps: bool bytes are 0 or 1, and spare bits of a byte are zero.
fn tensor() -> impl Strategy<Value = Tensor> {
    let dims = prop_oneof![
        Just(vec![]),
        Just(vec![3]),
        Just(vec![0, 7]),
        Just(vec![2, 8]),
        Just(vec![17]),
        Just(vec![4, 3, 2])
    ];
    (dtype(), dims, prop::collection::vec(any::<u8>(), 24 * 8), prop::collection::vec(name(), 24)).prop_map(
        |(dtype, dims, mut bytes, texts)| {
            let count: u64 = dims.iter().product();
            if dtype == DType::String {
                return Tensor::strings(dims, texts[..count as usize].to_vec())
                    .expect("as many texts as elements");
            }
            bytes.truncate(dtype.bytes(count).expect("few elements") as usize);
            if dtype == DType::Bool {
                bytes.iter_mut().for_each(|b| *b &= 1);
            }
            let used = count as u32 * dtype.bits() % 8;
            if let Some(last) = bytes.last_mut().filter(|_| used != 0) {
                *last &= (1 << used) - 1;
            }
            Tensor::new(dtype, dims, bytes.into()).expect("as many bytes as the shape takes")
        },
    )
}

fn float() -> impl Strategy<Value = f32> {
    prop_oneof![any::<u32>().prop_map(f32::from_bits), Just(0.5), Just(-0.0), Just(f32::NAN), -2f32..2.0]
}

fn attr() -> impl Strategy<Value = (u8, Attr)> {
    let one = prop_oneof![
        prop::collection::vec(dim(), 0..4).prop_map(|x| (0, Attr::Dims(x))),
        float().prop_map(|x| (1, Attr::Float(x))),
        prop::collection::vec(float(), 0..4).prop_map(|x| (2, Attr::Floats(x))),
        prop_oneof![any::<i64>(), Just(3)].prop_map(|x| (3, Attr::Int(x))),
        prop_oneof![prop::collection::vec(any::<i64>(), 0..4), Just(vec![1, 1])]
            .prop_map(|x| (4, Attr::Ints(x))),
        any::<i64>().prop_map(|x| (5, Attr::Int(x))),
        name().prop_map(|x| (6, Attr::Str(x))),
        prop::collection::vec(name(), 0..4).prop_map(|x| (7, Attr::Strs(x))),
        tensor().prop_map(|x| (8, Attr::Tensor(Arc::new(x)))),
        dtype().prop_map(|x| (9, Attr::Type(x))),
    ];
    one.boxed()
}

fn recipes() -> impl Strategy<Value = Vec<Recipe>> {
    let recipe = (any::<u8>(), any::<[u16; 3]>(), name(), prop::collection::vec(attr(), 0..4), ty());
    prop::collection::vec(recipe, 0..12)
}

/// A graph of the recipes; every seventh holds the graph of those before it as regions.
fn graph(name: &str, recipes: &[Recipe], depth: usize) -> Graph {
    let mut graph = Graph::new(name);
    let mut values = vec![graph.add_input("x y", TensorType::fixed(DType::F32, &[2]))];
    for (i, (kind, picks, stem, attrs, ty)) in recipes.iter().enumerate() {
        let pick = |at: usize| Some(values[usize::from(picks[at]) % values.len()]);
        let results = |count: usize| -> Vec<Def> {
            let name = graph.fresh_name(stem);
            let named = |i: usize| if i == 0 { name.clone() } else { format!("{name}#{i}") };
            (0..count).map(|i| Def { name: named(i), ty: ty.clone() }).collect()
        };
        let (mut node, operands) = match kind % 7 {
            0 => (Node::new("Add", results(1)), vec![pick(0), pick(1)]),
            1 => (Node::new("Const", results(1)), vec![]),
            2 => (Node::new("toy.Split", results(1 + usize::from(picks[0] % 3))), vec![pick(1)]),
            3 => (Node::new("toy.All", results(usize::from(picks[0] % 3))), vec![None, pick(2)]),
            4 if depth < 3 => {
                let mut node = Node::new("toy.If", results(1));
                let inner = graph_of_region(&recipes[..i], depth);
                node.regions = vec![inner, Graph::new("")];
                (node, vec![pick(0), pick(1)])
            }
            _ => (Node::new("toy.All", results(1)), vec![]),
        };
        match (node.op.as_str(), attrs.iter().find(|(at, _)| *at == 8)) {
            ("toy.All", _) => {
                node.attrs =
                    attrs.iter().map(|(at, a)| (ATTRS[usize::from(*at)].to_string(), a.clone())).collect()
            }
            ("Const", tensor) => {
                let value =
                    tensor.map_or_else(|| Attr::Tensor(Arc::new(Tensor::scalar(1i8))), |t| t.1.clone());
                node = node.with("value", value);
            }
            _ => {}
        }
        let slots = node.results.len() as u32;
        let id = graph.add(node, &operands);
        values.extend((0..slots).map(|slot| Value { node: id, slot }));
    }
    graph.set_outputs(values.into_iter().rev().take(2).collect());
    graph
}

fn graph_of_region(recipes: &[Recipe], depth: usize) -> Graph {
    graph("the region", &recipes[recipes.len().saturating_sub(4)..], depth + 1)
}

fn modules() -> impl Strategy<Value = Module> {
    let metadata = prop::collection::btree_map(any::<String>(), any::<String>(), 0..3);
    (recipes(), name(), prop::option::of(name()), metadata).prop_map(|(recipes, name, output, metadata)| {
        let mut graph = graph(&name, &recipes, 0);
        let mut names = graph.output_names().to_vec();
        if let Some((first, name)) = names.first_mut().zip(output) {
            *first = name;
        }
        graph.set_output_names(names);
        let mut module = Module::new(Stage::Imported, graph);
        module.metadata = metadata;
        module
    })
}

/// Changes to a text: where, what is taken out, what is put in.
fn changes() -> impl Strategy<Value = Vec<(u16, u8, String)>> {
    let pieces = prop_oneof![
        any::<String>(),
        prop::sample::select(
            &["%", "@", "\"", "(", ")", "[", "{", "}", "//", "-", "region(", "?", "*", "/0"][..]
        )
        .prop_map(str::to_string),
        "[0-9]{1,25}",
    ];
    prop::collection::vec((any::<u16>(), 0u8..6, pieces), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn modules_survive(module in modules()) {
        let text = round(&module);
        let again = Module::parse(&text, &ops(), &weights_by_digest(&module)).unwrap();
        prop_assert_eq!(again.graph.output_names(), module.graph.output_names());
        prop_assert_eq!(again.metadata, module.metadata);
        let shown: Vec<_> = again.graph.order().into_iter().map(|id| again.graph.node(id).attrs.clone()).collect();
        let kept: Vec<_> = module.graph.order().into_iter().map(|id| module.graph.node(id).attrs.clone()).collect();
        for (shown, kept) in shown.iter().zip(&kept) {
            prop_assert!(shown.iter().all(|(name, attr)| kept.get(name) == Some(attr)));
        }
    }

    #[test]
    fn broken_texts_are_refused(module in modules(), changes in changes()) {
        let mut text: Vec<char> = print(&module, &ops(), Style::default()).chars().collect();
        for (at, out, piece) in changes {
            let at = usize::from(at) % text.len();
            let end = text.len().min(at + usize::from(out));
            text.splice(at..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(module) = Module::parse(&text, &ops(), &weights_by_digest(&module)) {
            round(&module);
            let _ = verify(&module, &ops());
        }
    }

    #[test]
    fn any_text_is_refused(text in any::<String>()) {
        prop_assert!(Module::parse(&text, &ops(), &NoWeights).is_err());
    }
}
