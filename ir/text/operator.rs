//! Operators that are defined by a text:
//!
//! ```text
//! /// `(x + sqrt(x * x + b)) / 2`: a smooth ramp.
//! operator acme.Squareplus(x) {b: float = 4.0}
//! graph @body(%x: f32[*]) -> (f32[*]) {
//!     %b = Const() {value = $b.tensor} : f32[]
//!     %square = Mul(%x, %x) : f32[*]
//!     ...
//!     return %y
//! }
//! ```
//!
//! A sentence, a line, and one graph or more: the first counts whose inputs have the names and
//! types of the operands that are there. Symbols stand for any extents, `*` for any rank; what the
//! graph says of other types is inferred anew. `B?` is an operand that may be absent. An attribute
//! is an `int`, `float`, `text`, `ints` or `type`; without a default it must be given. In the
//! graph, `$b` is its value and `$b.tensor` a tensor of it.
//!
//! In the place of graphs, signatures name functions in C that compute the operator, and a last
//! line the object or archive they are in; see [`Signature`]:
//!
//! ```text
//! /// Each row in ascending order.
//! operator acme.SortRows(x)
//! extern acme_sort_rows(%x: f32[N, C]) -> (f32[N, C])
//! from "sort_rows.o"
//! ```
use super::lex::{Cursor, ParseError, Token};
use super::signature::Signature;
use crate::attr::Attr;
use crate::body::{self, Body, Meaning};
use crate::foreign::Foreign;
use crate::graph::Graph;
use crate::op::{AttrDef, AttrDefault, AttrKind, OpDef, OpSet, OperandDef, Presence, Traits, no_regions};
use crate::types::DType;

/// Reads definitions of operators. They live until the process ends.
pub fn parse_operators(text: &str) -> Result<Vec<OpDef>, ParseError> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut at, mut defs) = (0, Vec::new());
    loop {
        while lines.get(at).is_some_and(|line| is_filler(line)) {
            at += 1;
        }
        if at == lines.len() {
            return Ok(defs);
        }
        let begin = at;
        let block = Block { lines: &lines, begin, at };
        let (def, end) = block.read()?;
        defs.push(def);
        at = end;
    }
}

fn is_filler(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || (line.starts_with("//") && !line.starts_with("///"))
}

/// One definition being read.
struct Block<'t> {
    lines: &'t [&'t str],
    begin: usize,
    at: usize,
}

/// The line that begins with `operator`.
struct Head {
    name: String,
    operands: Vec<OperandDef>,
    attrs: Vec<AttrDef>,
}

impl Block<'_> {
    fn fail<T>(&self, line: usize, message: &str) -> Result<T, ParseError> {
        Err(ParseError { line: line + 1, column: 1, message: message.to_string() })
    }

    fn line(&self) -> &str {
        self.lines.get(self.at).copied().unwrap_or_default()
    }

    fn read(mut self) -> Result<(OpDef, usize), ParseError> {
        let doc = self.doc()?;
        let line = self.at;
        let moved = |error: ParseError| ParseError { line: line + error.line, ..error };
        let head = head(self.line()).map_err(moved)?;
        self.at += 1;
        let (meaning, results, traits) =
            if self.line().starts_with("extern ") { self.functions(&head)? } else { self.graphs(&head)? };
        let text = self.lines[self.begin..self.at].join("\n") + "\n";
        let def = defined(doc, head, Body { text, meaning });
        Ok((OpDef { results: (results, results), traits, ..def }, self.at))
    }

    fn graphs(&mut self, head: &Head) -> Result<(Meaning, usize, Traits), ParseError> {
        let mut graphs = Vec::new();
        while self.line().starts_with("graph") {
            graphs.push(self.graph()?);
            while self.at < self.lines.len() && is_filler(self.line()) {
                self.at += 1;
            }
        }
        if graphs.is_empty() {
            let expected =
                "expected `graph @body(` or `extern FUNCTION(`, which says what the operator computes";
            return self.fail(self.at, expected);
        }
        let (results, traits) = self.check(head, &graphs)?;
        let graphs = graphs.into_iter().map(|(_, graph)| graph).collect();
        Ok((Meaning::Graphs(graphs), results, traits))
    }

    /// The lines `extern FUNCTION(...) -> (...)` and the line `from "FILE"` behind them.
    fn functions(&mut self, head: &Head) -> Result<(Meaning, usize, Traits), ParseError> {
        let (mut signatures, mut results) = (Vec::new(), None);
        while let Some(line) = self.line().strip_prefix("extern ").map(str::to_string) {
            let count = signature(head, &line).or_else(|message| self.fail(self.at, &message))?;
            if *results.get_or_insert(count) != count {
                return self.fail(self.at, "the functions have different counts of results");
            }
            signatures.push(line);
            self.at += 1;
        }
        let at = self.at;
        let code = file(self.line()).map_err(|error| ParseError { line: at + error.line, ..error })?;
        self.at += 1;
        let foreign = Foreign { signatures, code: code.into(), functions: Default::default() };
        Ok((Meaning::Foreign(foreign), results.unwrap_or_default(), Traits::PURE))
    }

    fn doc(&mut self) -> Result<String, ParseError> {
        let mut words = Vec::new();
        while let Some(line) = self.line().strip_prefix("///") {
            words.push(line.trim().to_string());
            self.at += 1;
        }
        let doc = words.join(" ");
        match doc.ends_with('.') {
            true => Ok(doc),
            false => {
                self.fail(self.at, "expected a sentence behind `///` that says what the operator computes")
            }
        }
    }

    /// The line a graph begins at, and its text.
    fn graph(&mut self) -> Result<(usize, String), ParseError> {
        let begin = self.at;
        let length = self.lines[begin..].iter().position(|line| *line == "}");
        let Some(length) = length else { return self.fail(begin, "the graph has no line `}` at its end") };
        self.at = begin + length + 1;
        Ok((begin, self.lines[begin..self.at].join("\n") + "\n"))
    }

    /// How many results there are and what may be assumed of them, if every graph is one for this
    /// operator.
    fn check(&self, head: &Head, graphs: &[(usize, String)]) -> Result<(usize, Traits), ParseError> {
        let (mut results, mut traits) = (None, Traits::PURE);
        for (line, text) in graphs {
            let graph = read_graph(head, text, *line)?;
            fits(head, &graph).or_else(|message| self.fail(*line, &message))?;
            let count = graph.outputs().len();
            if *results.get_or_insert(count) != count {
                return self.fail(*line, "the graphs have different counts of outputs");
            }
            if !is_pure(&graph) {
                traits = Traits::EFFECT;
            }
        }
        Ok((results.unwrap_or_default(), traits))
    }
}

/// How many results a signature has, if it is one for this operator.
fn signature(head: &Head, line: &str) -> Result<usize, String> {
    let sample = |name: &str| head.attrs.iter().find(|attr| attr.name == name).map(sample);
    let filled = body::filled(line, &sample)?;
    let signature = Signature::parse(&filled).map_err(|error| error.message)?;
    if !line.trim_start().starts_with(&signature.symbol) {
        return Err("the name of a function takes no attribute".to_string());
    }
    let names: Vec<&str> = signature.operands.iter().map(|(name, _)| name.as_str()).collect();
    are_operands(head, &names)?;
    Ok(signature.results.len())
}

/// The file of the line `from "FILE"`.
fn file(line: &str) -> Result<String, ParseError> {
    let mut cursor = Cursor::new(line)?;
    cursor.expect_word("from")?;
    let file = cursor.expect_text("the object or archive with the function, in quotes")?;
    if *cursor.token() != Token::End {
        return Err(cursor.expected("the end of the line"));
    }
    match file.ends_with(".o") || file.ends_with(".a") {
        true => Ok(file),
        false => Err(cursor.fail_at(0, format!("`{file}` is neither an object, `.o`, nor an archive, `.a`"))),
    }
}

/// The graph of a body with something in the place of its attributes.
fn read_graph(head: &Head, text: &str, line: usize) -> Result<Graph, ParseError> {
    let sample = |name: &str| head.attrs.iter().find(|attr| attr.name == name).map(sample);
    let failed = |message: String| ParseError { line: line + 1, column: 1, message };
    let text = body::filled(text, &sample).map_err(failed)?;
    // A first line is put before it.
    let moved = |error: ParseError| ParseError { line: line + error.line - 1, ..error };
    let mut graph = body::parsed(&text).map_err(moved)?;
    if head.attrs.iter().any(|attr| attr.default == AttrDefault::Required) {
        return Ok(graph);
    }
    crate::infer::infer(&mut graph, OpSet::builtin()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        failed(lines.join("; "))
    })?;
    Ok(graph)
}

/// The default of an attribute, or any value of its kind.
fn sample(attr: &AttrDef) -> Attr {
    match (attr.default, attr.kind) {
        (AttrDefault::Int(x), _) => Attr::Int(x),
        (AttrDefault::Float(x), _) => Attr::Float(x),
        (AttrDefault::Str(x), _) => Attr::Str(x.to_string()),
        (AttrDefault::Ints(x), _) => Attr::Ints(x.to_vec()),
        (AttrDefault::Type(x), _) => Attr::Type(x),
        (_, AttrKind::Float) => Attr::Float(0.0),
        (_, AttrKind::Str) => Attr::Str(String::new()),
        (_, AttrKind::Ints) => Attr::Ints(vec![0]),
        (_, AttrKind::Type) => Attr::Type(DType::F32),
        _ => Attr::Int(0),
    }
}

/// Whether a graph has inputs that the operator has operands for.
fn fits(head: &Head, graph: &Graph) -> Result<(), String> {
    let inputs: Vec<&str> = graph.inputs().iter().map(|id| graph.node(*id).label()).collect();
    are_operands(head, &inputs)?;
    let has_dims = |attr: &Attr| matches!(attr, Attr::Dims(_));
    if graph.nodes().any(|id| graph.node(id).attrs.values().any(has_dims)) {
        return Err("extents as attributes mean nothing in another graph".to_string());
    }
    Ok(())
}

/// Whether these are operands of the operator, with all that are always there.
fn are_operands(head: &Head, inputs: &[&str]) -> Result<(), String> {
    let known = |name: &&str| head.operands.iter().any(|operand| operand.name == *name);
    if let Some(name) = inputs.iter().find(|name| !known(name)) {
        return Err(format!("input `%{name}` is no operand of `{}`", head.name));
    }
    let required = head.operands.iter().filter(|operand| operand.presence == Presence::Required);
    match required.into_iter().find(|operand| !inputs.contains(&operand.name)) {
        Some(operand) => Err(format!("operand `{}` is no input of the graph or function", operand.name)),
        None => Ok(()),
    }
}

fn is_pure(graph: &Graph) -> bool {
    let def = |id| OpSet::builtin().get(graph.node(id).op.as_str());
    graph.nodes().all(|id| def(id).is_some_and(|def| def.traits.pure))
}

/// The definition, with one result.
fn defined(doc: String, head: Head, body: Body) -> OpDef {
    OpDef {
        name: head.name.leak(),
        doc: doc.leak(),
        operands: head.operands.leak(),
        attrs: head.attrs.leak(),
        results: (1, 1),
        regions: 0,
        traits: Traits::PURE,
        infer: body::infer,
        enter: no_regions,
        body: Some(Box::leak(Box::new(body))),
    }
}

fn head(line: &str) -> Result<Head, ParseError> {
    let mut cursor = Cursor::new(line)?;
    cursor.expect_word("operator")?;
    let at = cursor.offset();
    let name = cursor.expect_name("the name of an operator, like `acme.Squareplus`")?;
    if !name.contains('.') {
        let message = format!("`{name}` has no domain, expected a name like `acme.{name}`");
        return Err(cursor.fail_at(at, message));
    }
    cursor.expect("(")?;
    let operands = Cursor::list(&mut cursor, ")", |cursor| cursor, operand)?;
    let mut attrs = Vec::new();
    if cursor.eat("{")? {
        attrs = Cursor::list(&mut cursor, "}", |cursor| cursor, attribute)?;
    }
    attrs.sort_by_key(|attr: &AttrDef| attr.name);
    let mut names: Vec<&str> = operands.iter().map(|o| o.name).chain(attrs.iter().map(|a| a.name)).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(cursor.fail_at(at, format!("`{}` is there twice", pair[0])));
    }
    if *cursor.token() != Token::End {
        return Err(cursor.expected("the end of the line"));
    }
    Ok(Head { name, operands, attrs })
}

fn operand(cursor: &mut Cursor<'_>) -> Result<OperandDef, ParseError> {
    let name = cursor.expect_name("an operand")?.leak();
    let optional = cursor.is_word("?");
    if optional {
        cursor.take()?;
    }
    Ok(OperandDef { name, presence: if optional { Presence::Optional } else { Presence::Required } })
}

fn attribute(cursor: &mut Cursor<'_>) -> Result<AttrDef, ParseError> {
    let name = cursor.expect_name("an attribute")?.leak();
    cursor.expect(":")?;
    let kinds = [
        ("int", AttrKind::Int),
        ("float", AttrKind::Float),
        ("text", AttrKind::Str),
        ("ints", AttrKind::Ints),
        ("type", AttrKind::Type),
    ];
    let kind = kinds.into_iter().find(|(word, _)| cursor.is_word(word)).map(|(_, kind)| kind);
    let kind = kind.ok_or_else(|| cursor.expected("`int`, `float`, `text`, `ints` or `type`"))?;
    cursor.take()?;
    let default = if cursor.eat("=")? { default(cursor, kind)? } else { AttrDefault::Required };
    Ok(AttrDef { name, kind, default })
}

fn default(cursor: &mut Cursor<'_>, kind: AttrKind) -> Result<AttrDefault, ParseError> {
    Ok(match kind {
        AttrKind::Float => AttrDefault::Float(cursor.f32()?),
        AttrKind::Str => AttrDefault::Str(cursor.expect_text("a text in quotes")?.leak()),
        AttrKind::Type => AttrDefault::Type(cursor.dtype()?),
        AttrKind::Ints => {
            cursor.expect("[")?;
            AttrDefault::Ints(Cursor::list(cursor, "]", |cursor| cursor, Cursor::int)?.leak())
        }
        _ => AttrDefault::Int(cursor.int()?),
    })
}
