//! A whole small program: run, refused, and as text.
use weft_ir::{DType, Dim, Tensor};
use weft_kernel::nest::{Access, Binary, Builder, Hint, Kernel, Scalar, Ty};
use weft_kernel::program::exec::{self, Fault};
use weft_kernel::program::{Memory, Planned, Port, Program, Step, Weight, WeightData};

/// One task a row of 4: `to[i] = from[i] op with[i]`.
fn rows(name: &str, op: Binary) -> Kernel {
    let mut b = Builder::new(name, "map x4");
    let from = b.buffer("from", DType::F32, Access::Read);
    let with = b.buffer("with", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let (task, width, zero) = (b.task(), b.index(4), b.index(0));
    let row = b.mul(task, width);
    let (x, y) = (b.load(from, row, 0, 4), b.load(with, zero, 0, 4));
    let z = b.binary(op, x, y);
    b.store(to, row, 0, z);
    b.finish()
}

/// Sums all rows, in one task.
fn total(name: &str) -> Kernel {
    let mut b = Builder::new(name, "sum");
    let from = b.buffer("from", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let (n, width, start) = (b.symbol("N"), b.index(4), b.index(0));
    let count = b.mul(n, width);
    let zero = b.constant(Ty::scalar(DType::F32), Scalar::Float(0.0));
    let sum = b.var(zero);
    b.for_each(start, count, 1, Hint::Free, |b, i| {
        let x = b.load(from, i, 0, 1);
        let so_far = b.get(sum);
        let next = b.binary(Binary::Add, so_far, x);
        b.set(sum, next);
    });
    let result = b.get(sum);
    b.store(to, start, 0, result);
    b.finish()
}

fn launch(kernel: u32, args: &[Memory], tasks: Dim) -> Step {
    Step::Launch { kernel, args: args.iter().map(|memory| (*memory, Dim::fixed(0))).collect(), tasks }
}

/// The input doubled `trips` times while a flag is set, and the sum of the result.
fn program() -> Program {
    let n = Dim::symbol("N");
    let port = |name: &str, dtype, dims: &[Dim]| Port { name: name.to_string(), dtype, dims: dims.to_vec() };
    let planned = |name: &str| Planned { name: name.to_string(), bytes: n.scale(16), first: 0, last: 0 };
    let two = (0..4).flat_map(|_| 2f32.to_le_bytes()).collect::<Vec<u8>>();
    let mut program = Program {
        name: "doubling".to_string(),
        symbols: ["N", "trips", "i", "?rows"].map(str::to_string).to_vec(),
        inputs: vec![
            port("x", DType::F32, &[n.clone(), Dim::fixed(4)]),
            port("flag", DType::Bool, &[]),
            port("trips", DType::I64, &[]),
        ],
        outputs: vec![port("out", DType::F32, &[n.clone(), Dim::fixed(4)]), port("sum", DType::F32, &[])],
        planned: vec![planned("now"), planned("next")],
        grown: 1,
        weights: vec![Weight { name: "two".to_string(), data: WeightData::Plain(two.into()) }],
        kernels: vec![rows("twice", Binary::Mul), total("total")],
        steps: steps(&n),
    };
    weft_kernel::program::lifetimes(&mut program);
    program
}

fn steps(n: &Dim) -> Vec<Step> {
    let at = |memory| (memory, Dim::fixed(0));
    let (now, next, flag) = (Memory::Planned(0), Memory::Planned(1), Memory::Input(1));
    let copy = |from, to| Step::Copy { from: at(from), to: at(to), bytes: n.scale(16) };
    vec![
        Step::Read { symbol: 1, from: Memory::Input(2), dtype: DType::I64, index: 0 },
        Step::Check {
            left: Dim::symbol("trips"),
            right: Dim::fixed(0),
            at_least: true,
            message: "`Loop` at `%out`: a negative number of trips".to_string(),
        },
        copy(Memory::Input(0), now),
        Step::Loop {
            index: 2,
            trips: Dim::symbol("trips"),
            condition: Some(flag),
            body: vec![launch(0, &[now, Memory::Weight(0), next], n.clone()), copy(next, now)],
        },
        Step::Set { symbol: 3, value: n.plus(1) },
        Step::Grow { grown: 0, bytes: Dim::symbol("?rows").scale(16) },
        copy(now, Memory::Grown(0)),
        Step::Output { output: 0, dims: vec![n.clone(), Dim::fixed(4)] },
        Step::Output { output: 1, dims: vec![] },
        Step::If {
            condition: flag,
            then: vec![copy(Memory::Grown(0), Memory::Output(0))],
            otherwise: vec![copy(Memory::Input(0), Memory::Output(0))],
        },
        launch(1, &[Memory::Output(0), Memory::Output(1)], Dim::fixed(1)),
    ]
}

fn inputs(rows: u64, flag: bool, trips: i64) -> Vec<Tensor> {
    let x: Vec<f32> = (0..rows * 4).map(|i| i as f32).collect();
    let flag = Tensor::new(DType::Bool, vec![], vec![flag.into()].into()).expect("one byte is a flag");
    let x = Tensor::from_slice(&[rows, 4], &x).expect("as many numbers as the extents say");
    vec![x, flag, Tensor::scalar(trips)]
}

#[test]
fn a_program_serves_all_sizes() {
    for (rows, flag, trips, factor) in [(1, true, 3, 8.0), (5, true, 0, 1.0), (3, false, 9, 1.0)] {
        let outputs = exec::run(&program(), &inputs(rows, flag, trips)).unwrap();
        let expected: Vec<f32> = (0..rows * 4).map(|i| i as f32 * factor).collect();
        assert_eq!(outputs[0].dims(), [rows, 4]);
        assert_eq!(outputs[0].to_vec::<f32>().unwrap(), expected);
        assert_eq!(outputs[1].to_vec::<f32>().unwrap(), [expected.iter().sum::<f32>()]);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let error = |program: &Program, inputs: &[Tensor]| exec::run(program, inputs).unwrap_err().to_string();
    let refused = error(&program(), &inputs(1, true, -1));
    assert_eq!(refused, "step 1: `Loop` at `%out`: a negative number of trips: found -1, expected 0");
    let mut wide = inputs(1, true, 1);
    wide[0] = Tensor::from_slice(&[1, 3], &[0f32; 3]).unwrap();
    assert_eq!(error(&program(), &wide), "`x`: found extent 3, expected 4");

    let mut short = program();
    short.planned[1].bytes = Dim::fixed(8);
    let found = error(&short, &inputs(1, true, 1));
    assert_eq!(found, "step 4: `twice`, task 0: element 2 of `to`, which has 2");

    let mut dead = program();
    dead.planned[0].last = 4;
    assert_eq!(error(&dead, &inputs(1, true, 1)), "step 5: `buf0` is used outside its life");

    let mut unwritten = program();
    unwritten.steps.truncate(9);
    assert_eq!(error(&unwritten, &inputs(1, true, 1)), "`out0` is used where nobody has written to it");

    let mut call = program();
    call.steps
        .insert(0, Step::Call { function: "weft_rt_topk", args: vec![], dims: vec![], results: vec![] });
    weft_kernel::program::lifetimes(&mut call);
    let fault = exec::run(&call, &inputs(1, true, 1)).unwrap_err().fault;
    assert_eq!(fault, Fault::Call("weft_rt_topk".to_string()));
}

#[test]
fn programs_read_well() {
    insta::assert_snapshot!(program());
}
