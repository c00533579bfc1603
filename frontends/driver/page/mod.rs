//! A page about a model: its graph before and after a pipeline, and what the passes did. One file, nothing
//! is loaded from elsewhere; well-formed XML as well as HTML.
mod graphs;
mod history;
mod layout;
mod ledger;
mod markup;
mod passes;
mod svg;
mod tables;

pub use history::{History, Step};
pub use svg::svg;

use crate::inspect::Summary;
use markup::escaped;
use weft_ir::Module;

/// What a page is about.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What the model is called.
    pub name: &'a str,
    /// The pipeline, as text.
    pub pipeline: &'a str,
    /// The model as it was read, and what there is to say about it.
    pub before: (&'a Module, &'a Summary),
    /// The same after the pipeline.
    pub after: (&'a Module, &'a Summary),
    /// What the passes did.
    pub history: &'a History,
}

/// The page as text.
pub fn page(page: &Page<'_>) -> String {
    let Page { name, pipeline, before, after, history } = page;
    let (name, pipeline) = (escaped(name), escaped(pipeline));
    let mut out = format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width\"/><title>{name}: weft</title><style>{}</style></head>\
         <body><header><h1>{name}</h1><code title=\"the pipeline\">{pipeline}</code>\
         <input id=\"search\" type=\"search\" placeholder=\"search nodes and operators ( / )\" autocomplete=\"off\"/>\
         <span id=\"found\"></span></header><main>\n",
        include_str!("page.css"),
    );
    out += &tables::cards(before.1, after.1, history);
    out += &tables::ports(after.1);
    out += &passes::passes(history);
    out += &history.ledger.iter().map(ledger::ledger).collect::<String>();
    out += &tables::operators(before.1, after.1);
    out += &tables::weights(after.0);
    out += &graphs::pictures("after", after.0);
    out += &graphs::pictures("before", before.0);
    out += &graphs::nodes("after", after.0);
    out += &graphs::nodes("before", before.0);
    // The lines around the script are comments to HTML, and to XML they say that it is no markup.
    out + "</main><script>//<![CDATA[\n" + include_str!("page.js") + "//]]>\n</script></body></html>\n"
}

/// A section that can be closed.
fn section(title: &str, remark: &str, open: Open, body: &str) -> String {
    let open = if open == Open::Yes { " open=\"open\"" } else { "" };
    let (title, remark) = (escaped(title), escaped(remark));
    format!(
        "<details{open}><summary>{title}<small>{remark}</small></summary><div class=\"body\">{body}</div></details>\n"
    )
}

/// Whether a section is open at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Yes,
    No,
}
