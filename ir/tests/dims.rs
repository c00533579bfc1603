//! Extents: the normal form means what was written, and its text reads back to it.
use proptest::prelude::*;
use weft_ir::Dim;
use weft_ir::text::parse_dim;

#[derive(Debug, Clone)]
enum Expr {
    Number(i64),
    Symbol(usize),
    Apply(Op, Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Ceil,
    Mod,
    Min,
    Max,
}

const OPS: [Op; 8] = [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Ceil, Op::Mod, Op::Min, Op::Max];
const NAMES: [&str; 5] = ["N", "H", "?x.0", "odd name", "min"];

impl Expr {
    fn dim(&self) -> Dim {
        match self {
            Expr::Number(x) => Dim::fixed(*x),
            Expr::Symbol(i) => Dim::symbol(NAMES[*i]),
            Expr::Apply(op, a, b) => {
                let (a, b) = (a.dim(), b.dim());
                match op {
                    Op::Add => a.add(&b),
                    Op::Sub => a.sub(&b),
                    Op::Mul => a.mul(&b),
                    Op::Div => a.div_floor(&b),
                    Op::Ceil => a.div_ceil(&b),
                    Op::Mod => a.modulo(&b),
                    Op::Min => a.smaller(&b),
                    Op::Max => a.larger(&b),
                }
            }
        }
    }

    fn eval(&self, values: &[i64]) -> Option<i64> {
        Some(match self {
            Expr::Number(x) => *x,
            Expr::Symbol(i) => values[*i],
            Expr::Apply(op, a, b) => {
                let (a, b) = (a.eval(values)?, b.eval(values)?);
                match op {
                    Op::Add => a.checked_add(b)?,
                    Op::Sub => a.checked_sub(b)?,
                    Op::Mul => a.checked_mul(b)?,
                    Op::Div => floor(a, b)?,
                    Op::Ceil => floor(a + b - 1, b)?,
                    Op::Mod => a - floor(a, b)? * b,
                    Op::Min => a.min(b),
                    Op::Max => a.max(b),
                }
            }
        })
    }
}

fn floor(a: i64, b: i64) -> Option<i64> {
    (b != 0).then(|| (a as f64 / b as f64).floor() as i64)
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf =
        prop_oneof![(-6i64..13).prop_map(Expr::Number), (0..NAMES.len()).prop_map(Expr::Symbol)].boxed();
    leaf.prop_recursive(4, 10, 2, |inner| {
        (prop::sample::select(&OPS), inner.clone(), inner)
            .prop_map(|(op, a, b)| Expr::Apply(op, Box::new(a), Box::new(b)))
    })
}

fn value_of(values: &[i64]) -> impl Fn(&str) -> Option<i64> {
    move |name| Some(values[NAMES.iter().position(|n| *n == name)?])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn normal_form_keeps_the_value(expr in expr(), values in prop::collection::vec(0i64..20, NAMES.len())) {
        if let Some(expected) = expr.eval(&values) {
            let dim = expr.dim();
            prop_assert_eq!(dim.eval(&value_of(&values)), Some(expected), "{}", dim);
        }
    }

    #[test]
    fn text_reads_back_to_the_same_normal_form(expr in expr()) {
        let dim = expr.dim();
        let text = dim.to_string();
        let read = parse_dim(&text).map_err(|e| TestCaseError::fail(format!("{e} in {text}")))?;
        prop_assert_eq!(&read, &dim, "{} became {}", text, read);
    }

    #[test]
    fn substituting_is_evaluating(expr in expr(), values in prop::collection::vec(1i64..20, NAMES.len())) {
        let dim = expr.dim();
        if let Some(expected) = dim.eval(&value_of(&values)) {
            let of = value_of(&values);
            prop_assert_eq!(dim.substitute(&|name| of(name).map(Dim::fixed)).as_fixed(), Some(expected));
        }
    }

    #[test]
    fn what_differs_is_not_equal(a in expr(), b in expr()) {
        let (a, b) = (a.dim(), b.dim());
        prop_assert!(!a.differs(&a));
        prop_assert!(a != b || !a.differs(&b));
    }
}

#[test]
fn equal_extents_have_one_text() {
    for line in NORMAL_FORMS.lines() {
        let (text, expected) = line.split_once(" = ").unwrap();
        let dim = parse_dim(text).unwrap();
        assert_eq!(dim.to_string(), expected, "{text}");
        assert_eq!(parse_dim(expected).unwrap(), dim, "{text}");
    }
}

const NORMAL_FORMS: &str = "\
(H-1)/2+1 = (H+1)/2
(H+2-3)/2+1 = (H+1)/2
((H+1)/2+1)/2 = (H+3)/4
((N-1)/2+1-1)/2+1 = (N+3)/4
2*N/4 = N/2
(6*N+4*M+7)/4 = M+N+(N+1)/2+1
-N/2 = -N+N/2
N/(-2) = -N+N/2
N*M/N = M
3*N-N*3 = 0
mod(7*N+9, 4) = mod(3*N+1, 4)
min(N+1, N) = N
max(M, N) = max(M, N)
min(N, min(N, M)) = min(M, N)
max(max(0, A-B), max(C, max(0, A-B))) = max(A-B, C)
5/0 = 5/0
0/0 = 0/0
mod(N, 0) = mod(N, 0)
?+1 = ?
?-? = ?
0*? = 0
?/? = ?
N-H/2 = N-H/2
2*(H/2)*N = 2*N*(H/2)
-9223372036854775808*N-9223372036854775808 = -9223372036854775808*N-9223372036854775808
9223372036854775807+1 = 9223372036854775807
\"a b\"*\"?odd/x.1\" = \"?odd/x.1\"*\"a b\"
";

#[test]
fn nothing_grows_beyond_measure() {
    let chain = |link: &str, times: usize| format!("N{}", link.repeat(times));
    for text in [
        chain("/M", 100_000),
        chain("+1", 100_000),
        chain("*(N+M+1)", 2_000),
        chain("*N", 20_000),
        format!("{}N{}", "min(M*N, ".repeat(100), ")".repeat(100)),
    ] {
        let dim = parse_dim(&text).unwrap();
        assert_eq!(parse_dim(&dim.to_string()).unwrap(), dim);
    }
    let mut doubled = Dim::symbol("N");
    for i in 0..60 {
        doubled = doubled.smaller(&doubled.mul(&Dim::symbol(&format!("S{i}"))));
    }
    assert!(doubled.is_unknown());
}

#[test]
fn messages() {
    for (text, message) in [
        ("", "1:1: expected an extent, found the end"),
        ("N+", "1:3: expected an extent, found the end"),
        ("2N", "1:1: expected an integer below 2^63, found `2N`"),
        ("9223372036854775808", "1:1: expected an integer below 2^63, found `9223372036854775808`"),
        ("gcd(N, 2)", "1:1: expected `mod`, `min` or `max`, found `gcd`"),
        ("(N", "1:3: expected `)`, found the end"),
        ("N M", "1:3: expected the end, found `M`"),
    ] {
        assert_eq!(parse_dim(text).unwrap_err().to_string(), message);
    }
    let deep = "(".repeat(100_000);
    assert_eq!(
        parse_dim(&deep).unwrap_err().to_string(),
        "1:130: brackets in an extent nest deeper than 128"
    );
}
