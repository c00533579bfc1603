//! The text of a graph like that of a transformer, of as many layers as are asked for.
/// About how many nodes a layer has.
#[allow(dead_code, reason = "only the benchmark sizes graphs")]
pub(crate) const NODES: usize = 74;

/// The constants of a layer, and their types.
const WEIGHTS: &[(&str, &str)] = &[
    ("wq", "f32[64, 64]"),
    ("wk", "f32[64, 64]"),
    ("wv", "f32[64, 64]"),
    ("wo", "f32[64, 64]"),
    ("w1", "f32[64, 128]"),
    ("w2", "f32[128, 64]"),
    ("bq", "f32[64]"),
    ("bk", "f32[64]"),
    ("bv", "f32[64]"),
    ("bo", "f32[64]"),
    ("b1", "f32[128]"),
    ("b2", "f32[64]"),
    ("g1", "f32[64]"),
    ("g2", "f32[64]"),
];

/// The nodes of a layer; `%x` is what goes in and `%y` what comes out.
const LAYER: &str = "
%heads = Const() {value = i64[3]{16, 4, 16}} : i64[3]
%whole = Const() {value = i64[2]{16, 64}} : i64[2]
%last = Const() {value = i64[1]{-1}} : i64[1]
%scale = Const() {value = f32[]{0.25}} : f32[]
%eps = Const() {value = f32[]{0.00001}} : f32[]
%root = Const() {value = f32[]{1.4142135}} : f32[]
%one = Const() {value = f32[]{1.0}} : f32[]
%half = Const() {value = f32[]{0.5}} : f32[]
%q0 = MatMul(%x, %wq) : f32[16, 64]
%q1 = Add(%q0, %bq) : f32[16, 64]
%q2 = Reshape(%q1, %heads) : f32[16, 4, 16]
%q = Transpose(%q2) {perm = [1, 0, 2]} : f32[4, 16, 16]
%k0 = MatMul(%x, %wk) : f32[16, 64]
%k1 = Add(%k0, %bk) : f32[16, 64]
%k2 = Reshape(%k1, %heads) : f32[16, 4, 16]
%k3 = Transpose(%k2) {perm = [1, 0, 2]} : f32[4, 16, 16]
%k = Transpose(%k3) {perm = [0, 2, 1]} : f32[4, 16, 16]
%v0 = MatMul(%x, %wv) : f32[16, 64]
%v1 = Add(%v0, %bv) : f32[16, 64]
%v2 = Reshape(%v1, %heads) : f32[16, 4, 16]
%v = Transpose(%v2) {perm = [1, 0, 2]} : f32[4, 16, 16]
%s0 = MatMul(%q, %k) : f32[4, 16, 16]
%s1 = Mul(%s0, %scale) : f32[4, 16, 16]
%s = Softmax(%s1) {axis = -1} : f32[4, 16, 16]
%c0 = MatMul(%s, %v) : f32[4, 16, 16]
%c1 = Transpose(%c0) {perm = [1, 0, 2]} : f32[16, 4, 16]
%c = Reshape(%c1, %whole) : f32[16, 64]
%o0 = MatMul(%c, %wo) : f32[16, 64]
%o1 = Add(%o0, %bo) : f32[16, 64]
%o = Add(%o1, %x) : f32[16, 64]
%m = ReduceMean(%o, %last) : f32[16, 1]
%d = Sub(%o, %m) : f32[16, 64]
%d2 = Mul(%d, %d) : f32[16, 64]
%t0 = ReduceMean(%d2, %last) : f32[16, 1]
%t1 = Add(%t0, %eps) : f32[16, 1]
%t = Sqrt(%t1) : f32[16, 1]
%n0 = Div(%d, %t) : f32[16, 64]
%n1 = Mul(%n0, %g1) : f32[16, 64]
%n = Add(%n1, %g2) : f32[16, 64]
%f0 = MatMul(%n, %w1) : f32[16, 128]
%f = Add(%f0, %b1) : f32[16, 128]
%e0 = Div(%f, %root) : f32[16, 128]
%e1 = Erf(%e0) : f32[16, 128]
%e2 = Add(%e1, %one) : f32[16, 128]
%e3 = Mul(%f, %e2) : f32[16, 128]
%e = Mul(%e3, %half) : f32[16, 128]
%h0 = MatMul(%e, %w2) : f32[16, 64]
%h1 = Add(%h0, %b2) : f32[16, 64]
%h = Add(%h1, %n) : f32[16, 64]
%p = ReduceMean(%h, %last) : f32[16, 1]
%r = Sub(%h, %p) : f32[16, 64]
%r2 = Mul(%r, %r) : f32[16, 64]
%u0 = ReduceMean(%r2, %last) : f32[16, 1]
%u1 = Add(%u0, %eps) : f32[16, 1]
%u = Sqrt(%u1) : f32[16, 1]
%z0 = Div(%r, %u) : f32[16, 64]
%z1 = Mul(%z0, %g2) : f32[16, 64]
%y = Add(%z1, %g1) : f32[16, 64]
";

/// A graph of so many layers.
pub(crate) fn text(layers: usize) -> String {
    let (mut weights, mut nodes) = (String::new(), String::new());
    for layer in 0..layers {
        for (number, (name, ty)) in WEIGHTS.iter().enumerate() {
            let seed = layer * WEIGHTS.len() + number;
            weights += &format!("weight @{name}.{layer} : {ty} = seeded({seed})\n");
            nodes += &format!("    %{name}.{layer} = Const() {{value = @{name}.{layer}}} : {ty}\n");
        }
        for line in LAYER.trim().lines() {
            nodes += &format!("    {}\n", named(line, layer));
        }
    }
    let ty = "f32[16, 64]";
    format!(
        "weft 1 canonical\n{weights}graph @main(%y.in: {ty}) -> ({ty}) {{\n{nodes}    return %y.{}\n}}\n",
        layers - 1
    )
}

/// A line of a layer with the number of the layer behind each name.
fn named(line: &str, layer: usize) -> String {
    let input = if layer == 0 { "y.in".to_string() } else { format!("y.{}", layer - 1) };
    let mut parts = line.split('%');
    let mut named = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let end = part.find(|c: char| !c.is_alphanumeric()).unwrap_or(part.len());
        match &part[..end] {
            "x" => named += &format!("%{input}{}", &part[end..]),
            name => named += &format!("%{name}.{layer}{}", &part[end..]),
        }
    }
    named
}
