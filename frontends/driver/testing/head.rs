//! The directives at the top of a file.
use std::collections::BTreeMap;
use std::str::FromStr;

/// How far results may be off unless the file says otherwise.
const TOLERANCE: f64 = 1e-4;

/// What the head of a filetest says.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The passes, as text.
    pub pipeline: String,
    /// Operators and how many there must be in the end.
    pub expect: BTreeMap<String, usize>,
    /// A reason that a rule must give.
    pub declines: Option<String>,
    /// Whether nothing may change.
    pub nothing: bool,
    /// How far results may be off.
    pub tolerance: f64,
    /// On how many seeded inputs passes may look at the module.
    pub calibrate: Option<u64>,
    /// The numbers of symbolic extents.
    pub symbols: BTreeMap<String, u64>,
}

impl Head {
    /// Reads the directives of a file.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut said: BTreeMap<&str, &str> = BTreeMap::new();
        for line in text.lines().map_while(|line| line.strip_prefix("//")) {
            let (key, value) = line.split_once(':').ok_or(format!("`//{line}` is no directive"))?;
            said.insert(key.trim(), value.trim());
        }
        let pipeline = said.remove("pipeline").ok_or("it names no pipeline")?.to_string();
        said.remove("why").filter(|why| why.ends_with('.')).ok_or("it does not say why, in a sentence")?;
        let expect = said.remove("expect").unwrap_or_default();
        let nothing = expect == "nothing";
        let declines = said.remove("declines").map(str::to_string);
        if expect.is_empty() && declines.is_none() {
            return Err("it neither expects nor declines anything".to_string());
        }
        let tolerance = said.remove("tolerance").map_or(Ok(TOLERANCE), str::parse);
        let calibrate = said.remove("calibrate").map(str::parse).transpose();
        let head = Self {
            pipeline,
            expect: pairs(if nothing { "" } else { expect }, ' ')?,
            declines,
            nothing,
            tolerance: tolerance.map_err(|error| format!("`tolerance`: {error}"))?,
            calibrate: calibrate.map_err(|error| format!("`calibrate`: {error}"))?,
            symbols: pairs(said.remove("symbols").unwrap_or_default(), '=')?,
        };
        match said.keys().next() {
            Some(key) => Err(format!("`{key}` is no directive")),
            None => Ok(head),
        }
    }
}

/// `Conv 1, Exp 0` and `N=2, S=5` as names and numbers.
fn pairs<T: FromStr>(list: &str, mark: char) -> Result<BTreeMap<String, T>, String> {
    let items = list.split(',').filter(|item| !item.trim().is_empty());
    let pair = |item: &str| {
        let (name, number) = item.trim().split_once(mark)?;
        Some((name.trim().to_string(), number.trim().parse().ok()?))
    };
    items.map(|item| pair(item).ok_or(format!("`{item}` has no number"))).collect()
}
