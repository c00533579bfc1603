//! Tables that rows are picked from, such as those of embeddings.
use super::RoundWeights;
use crate::forms::Half;
use weft_ir::infer::Facts;
use weft_ir::{Attr, DType, Graph, Module, Node, NodeId, Tensor, Value};
use weft_passes::{
    Declined, Editor, ErrorSum, PassContext, PassError, Proposal, Rewriter, Tapped, ValueError, node,
};

/// A `Gather` of a constant.
pub(super) struct Table {
    node: NodeId,
    numbers: Tensor,
}

impl Table {
    fn output(&self) -> Value {
        Value { node: self.node, slot: 0 }
    }

    /// Rounds it.
    pub(super) fn proposal(&self, to: Half, error: ValueError) -> Proposal<'_> {
        let apply = move |g: &mut Rewriter<'_>| self.put(g, to);
        Proposal { at: self.node, what: to.dtype().to_string(), error, apply: Box::new(apply) }
    }

    /// Picks from the rounded table, and widens what was picked.
    fn put(&self, g: &mut Rewriter<'_>, to: Half) -> Result<(), Declined> {
        let narrow = to.narrowed(&self.numbers).ok_or("the table does not read back")?;
        let mut operands = g.operands(self.node);
        operands[0] = Some(g.constant(narrow)?);
        let mut gather = Node::new("Gather", Vec::new());
        gather.attrs = g.node(self.node).attrs.clone();
        let picked = g.add(gather, &operands)?;
        let wide = g.add(node("Cast", [("to", Attr::Type(DType::F32))]), &[Some(picked)])?;
        g.replace(self.output(), wide);
        Ok(())
    }
}

impl RoundWeights {
    /// The chosen tables of the main graph, in order; tells why others are left alone.
    pub(super) fn tables(&self, edit: &mut Editor<'_>, facts: &Facts) -> Vec<Table> {
        let mut tables = Vec::new();
        for id in edit.graph.order() {
            match self.table(&edit.graph, facts, id) {
                Ok(table) => tables.extend(table),
                Err(why) => {
                    let at = edit.graph.node(id).label().to_string();
                    edit.decline(&at, &why);
                }
            }
        }
        tables
    }

    fn table(&self, graph: &Graph, facts: &Facts, id: NodeId) -> Result<Option<Table>, Declined> {
        if graph.node(id).op != "Gather" {
            return Ok(None);
        }
        let Some(from) = graph.operand(id, 0) else { return Ok(None) };
        let table = Self::weights(facts, from).filter(|table| table.dtype().is_float());
        let Some(numbers) = table.filter(|table| table.dims().len() > 1 && !table.is_empty()) else {
            return Ok(None);
        };
        if numbers.dtype() != DType::F32 {
            return Err(format!("the table is of {}, not f32", numbers.dtype()).into());
        }
        let table = Table { node: id, numbers: numbers.clone() };
        self.chosen.admits(graph, table.output(), from)?;
        self.take(numbers)?;
        Ok(Some(table))
    }

    /// How far off what each table gives is on the calibration data; without data, the table itself.
    pub(super) fn errors_of_tables(
        &self,
        cx: &PassContext<'_>,
        module: &Module,
        tables: &[Table],
    ) -> Result<Vec<ValueError>, PassError> {
        let broken = || PassError::Failed("a table does not read back".to_string());
        let mut sums = vec![ErrorSum::default(); tables.len()];
        let mut add = |place: usize, numbers: &Tensor| {
            let rounded = self.to.rounded(numbers).ok_or_else(broken)?;
            sums[place].add(numbers, &rounded);
            Ok(())
        };
        match cx.measure {
            Some(measure) => {
                let groups: Vec<Vec<Value>> = tables.iter().map(|table| vec![table.output()]).collect();
                measure
                    .stream(module, &groups, &mut |Tapped { group, .. }, values| add(group, &values[0]))?;
            }
            None => (0..).zip(tables).try_for_each(|(place, table)| add(place, &table.numbers))?,
        }
        Ok(sums.into_iter().map(|sum| sum.error()).collect())
    }
}
