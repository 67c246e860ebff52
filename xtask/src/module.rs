//! A module's functions: where the bytes of each lie, and which of them may be others without a change of its meaning.

use crate::steps::Failure;
use std::ops::Range;
use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef, ValType};

/// Numbers below this one take one byte.
const ONE_BYTE: usize = 128;

#[derive(Default)]
pub struct Module {
    /// How many functions the host gives: they are numbered first.
    pub imported: usize,
    /// The module's own functions, in its order.
    pub functions: Vec<Function>,
}

pub struct Function {
    /// Where its bytes lie in the module: the kinds of its locals, then its instructions.
    pub range: Range<usize>,
    /// How many parameters it has. They are numbered before its locals.
    pub parameters: usize,
    /// Its locals, but those whose numbers take two bytes.
    pub locals: Vec<Local>,
    /// The hints of its instructions that say how an integer's address is aligned.
    pub hints: Vec<Hint>,
}

pub struct Local {
    pub kind: ValType,
    /// The places of its number, counted from the function's first byte.
    pub mentions: Vec<usize>,
}

pub struct Hint {
    /// Counted from the function's first byte.
    pub place: usize,
    /// The alignment that an integer of this width has in most places.
    pub natural: u8,
}

impl Module {
    pub fn read(bytes: &[u8]) -> Result<Module, Failure> {
        let mut module = Module::default();
        let (mut parameters, mut kinds) = (Vec::new(), Vec::new());
        for part in Parser::new(0).parse_all(bytes) {
            match part? {
                Payload::TypeSection(types) => {
                    for kind in types.into_iter_err_on_gc_types() {
                        parameters.push(kind?.params().len());
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        module.imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(functions) => {
                    kinds = functions.into_iter().collect::<Result<Vec<u32>, _>>()?;
                }
                Payload::CodeSectionEntry(body) => {
                    let kind = kinds[module.functions.len()];
                    module.functions.push(Function::read(&body, parameters[kind as usize])?);
                }
                _ => {}
            }
        }
        Ok(module)
    }
}

impl Function {
    fn read(body: &FunctionBody<'_>, parameters: usize) -> Result<Function, Failure> {
        let mut function = Function { range: body.range(), parameters, locals: Vec::new(), hints: Vec::new() };
        for group in body.get_locals_reader()? {
            let (count, kind) = group?;
            let room = ONE_BYTE.saturating_sub(parameters + function.locals.len());
            let local = || Local { kind, mentions: Vec::new() };
            function.locals.extend(std::iter::repeat_with(local).take(room.min(count as usize)));
        }
        for operator in body.get_operators_reader()?.into_iter_with_offsets() {
            let (operator, offset) = operator?;
            // The operands of an instruction stand behind its first byte.
            let place = offset + 1 - function.range.start;
            match operator {
                Operator::LocalGet { local_index }
                | Operator::LocalSet { local_index }
                | Operator::LocalTee { local_index } => {
                    let local = (local_index as usize).checked_sub(parameters);
                    if let Some(local) = local.and_then(|local| function.locals.get_mut(local)) {
                        local.mentions.push(place);
                    }
                }
                _ => function.hints.extend(natural_alignment(&operator).map(|natural| Hint { place, natural })),
            }
        }
        Ok(function)
    }
}

/// How the address of an integer is aligned as a rule; `None` for other instructions, and for single bytes, which are
/// always aligned.
fn natural_alignment(operator: &Operator<'_>) -> Option<u8> {
    use Operator::*;
    match operator {
        I32Load16S { memarg } | I32Load16U { memarg } | I32Store16 { memarg } => Some(memarg.max_align),
        I64Load16S { memarg } | I64Load16U { memarg } | I64Store16 { memarg } => Some(memarg.max_align),
        I64Load32S { memarg } | I64Load32U { memarg } | I64Store32 { memarg } => Some(memarg.max_align),
        I32Load { memarg } | I32Store { memarg } | I64Load { memarg } | I64Store { memarg } => Some(memarg.max_align),
        _ => None,
    }
}
