//! Holds the two steps that rewrite the module against small modules that are made here.

use crate::module::{Function, Module};
use crate::{alike, order};
use std::collections::BTreeSet;
use wasm_encoder::{
    CodeSection, EntityType, Function as Code, FunctionSection, ImportSection, InstructionSink, MemArg, MemorySection,
    MemoryType, Module as Encoder, TypeSection, ValType,
};
use wasmparser::{KnownCustom, Name, Operator, Parser, Payload, Validator};

/// A module of these functions, all with one parameter, beside two that the host gives.
fn module(functions: &[Code]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], []);
    let mut imports = ImportSection::new();
    imports.import("host", "one", EntityType::Function(0)).import("host", "two", EntityType::Function(0));
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let (mut kinds, mut code) = (FunctionSection::new(), CodeSection::new());
    for function in functions {
        kinds.function(0);
        code.function(function);
    }
    let mut module = Encoder::new();
    module.section(&types).section(&imports).section(&kinds).section(&memories).section(&code);
    module.finish()
}

/// A function with `locals` that are integers of 32 bits, as many of 64, and these instructions.
fn function(locals: u32, write: impl FnOnce(&mut InstructionSink<'_>)) -> Code {
    let mut code = Code::new([(locals, ValType::I32), (locals, ValType::I64)]);
    write(&mut code.instructions());
    code.instructions().end();
    code
}

/// Adds constants to locals. Functions with equal seeds share their constants.
fn sums(seed: usize, steps: usize, local: impl Fn(usize) -> usize) -> Code {
    function(20, |code| {
        for step in 0..steps {
            let local = local(step) as u32;
            let constant = (seed * 7_919 + step * 104_729) % 1_000_003;
            code.local_get(local).i32_const(constant as i32).i32_add().local_set(local);
        }
    })
}

/// Each function's instructions, with locals named in the order of their first mention, and without hints.
fn meanings(bytes: &[u8]) -> Vec<String> {
    let mut meanings = Vec::new();
    for part in Parser::new(0).parse_all(bytes) {
        let Payload::CodeSectionEntry(body) = part.unwrap() else { continue };
        // The parameter has no kind here, so that no local is taken for it.
        let mut kinds = vec![None];
        for group in body.get_locals_reader().unwrap() {
            let (count, kind) = group.unwrap();
            kinds.extend(vec![Some(kind); count as usize]);
        }
        let (mut met, mut meaning) = (Vec::new(), format!("{kinds:?}"));
        for operator in body.get_operators_reader().unwrap() {
            let mut operator = operator.unwrap();
            match &mut operator {
                Operator::LocalGet { local_index: local } | Operator::LocalSet { local_index: local } => {
                    if !met.contains(local) {
                        met.push(*local);
                    }
                    let name = met.iter().position(|other| other == local);
                    meaning += &format!("; {name:?} of kind {:?} ", kinds[*local as usize]);
                    *local = 0;
                }
                Operator::I32Load { memarg } | Operator::I64Load { memarg } | Operator::I32Load16U { memarg } => {
                    memarg.align = 0;
                }
                _ => {}
            }
            meaning += &format!("; {operator:?}");
        }
        meanings.push(meaning);
    }
    meanings
}

fn bodies(bytes: &[u8]) -> Vec<Vec<u8>> {
    let body = |function: &Function| bytes[function.range.clone()].to_vec();
    Module::read(bytes).unwrap().functions.iter().map(body).collect()
}

/// The places of the functions in the order of the names that they were given.
fn ordered(bytes: &[u8]) -> Vec<usize> {
    let named = order::name_in_order(bytes).unwrap();
    assert!(named.starts_with(bytes), "nothing but names is added");
    Validator::new().validate_all(&named).unwrap();
    let mut names = Vec::new();
    for part in Parser::new(0).parse_all(&named) {
        let Payload::CustomSection(section) = part.unwrap() else { continue };
        let KnownCustom::Name(lists) = section.as_known() else { continue };
        for list in lists {
            let Name::Function(functions) = list.unwrap() else { panic!("a list of other names") };
            names.extend(functions.into_iter().map(|naming| naming.unwrap()).map(|one| (one.name, one.index as usize)));
        }
    }
    names.sort();
    assert_eq!(names.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), names.len(), "names are distinct");
    // Behind the two functions that the host gives.
    names.into_iter().map(|(_, index)| index - 2).collect()
}

/// The module with its functions written alike, after all that must be as before was compared.
fn alike(bytes: &[u8]) -> Vec<u8> {
    let alike = alike::write_alike(bytes.to_vec()).unwrap();
    Validator::new().validate_all(&alike).unwrap();
    assert_eq!(alike.len(), bytes.len());
    assert_eq!(meanings(&alike), meanings(bytes));
    assert_eq!(alike::write_alike(bytes.to_vec()).unwrap(), alike, "equal modules give equal bytes");
    alike
}

#[test]
fn an_ordered_module_has_the_same_functions() {
    // More bytes than are looked back over, one function with more than all of these, and pieces that all have.
    let mut functions: Vec<Code> = (0..500).map(|seed| sums(seed % 90, 8 + seed % 5, |step| 1 + step % 2)).collect();
    functions.push(sums(3, 5_000, |step| 1 + step % 20));
    functions.push(function(0, |_| {}));
    let order = ordered(&module(&functions));
    assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), (0..functions.len()).collect());
    assert_eq!(order.len(), functions.len());
    assert_eq!(ordered(&module(&functions)), order, "equal modules give equal orders");
    assert_eq!(ordered(&module(&[])), Vec::<usize>::new());
}

#[test]
fn functions_that_share_code_stand_together() {
    // Five families of thirty functions that stand mixed, and number their locals each in its own way.
    let functions: Vec<Code> = (0..150).map(|place| sums(place % 5, 40, |step| 1 + (step + place) % 20)).collect();
    let order = ordered(&module(&functions));
    let changes = order.windows(2).filter(|pair| pair[0] % 5 != pair[1] % 5).count();
    assert_eq!(changes, 4, "{order:?}");
}

#[test]
fn locals_are_numbered_as_in_the_function_before() {
    let one = sums(1, 40, |step| 1 + step % 7);
    let other = sums(1, 40, |step| 20 - step % 7);
    let bodies = bodies(&alike(&module(&[one, other])));
    assert_eq!(bodies[0], bodies[1]);
}

#[test]
fn locals_keep_their_kinds_and_parameters_their_numbers() {
    // A local of 32 bits, one of 64 and the parameter stand at the same places: exchanged, they were equal.
    let reads = |local: u32| {
        function(1, |code| {
            for constant in 0..30 {
                code.i32_const(constant * 1_000).drop().local_get(local).drop();
            }
        })
    };
    let before = module(&[reads(1), reads(2), reads(0)]);
    assert_eq!(alike(&before), before);
}

#[test]
fn numbers_of_two_bytes_stay() {
    // Locals on both sides of number 128, the first that takes two bytes; and more bytes than are looked back over.
    let wide = |shift: usize| {
        function(100, |code| {
            for step in 0..60 {
                code.local_get(1 + ((step + shift) % 100) as u32).local_set(1 + ((step * 7 + shift) % 100) as u32);
                code.local_get(101 + ((step + shift) % 100) as u32).local_set(101 + ((step * 7) % 100) as u32);
            }
        })
    };
    let many = (0..90).map(|seed| sums(seed, 40, |step| 1 + (step + seed) % 20));
    let before = module(&many.chain([wide(0), wide(3), wide(60)]).collect::<Vec<_>>());
    assert!(before.len() > 28_000);
    let after = alike(&before);
    assert_ne!(after, before, "locals with one byte were exchanged");
    assert_eq!(Module::read(&before).unwrap().functions[90].locals.len(), 127);
}

#[test]
fn loads_of_integers_say_that_they_are_aligned() {
    let at = |align| MemArg { offset: 9, align, memory_index: 0 };
    let loads = |align: u32| {
        function(0, |code| {
            code.i32_const(0).i32_load(at(align.min(2))).drop().i32_const(0).i64_load(at(align)).drop();
            code.i32_const(0).i32_load16_u(at(align.min(1))).drop().i32_const(0).i32_load8_u(at(0)).drop();
            // Of a number with a fraction some processors want it true.
            code.i32_const(0).f64_load(at(1)).drop();
        })
    };
    assert_eq!(alike(&module(&[loads(0)])), module(&[loads(3)]));
}

#[test]
fn what_is_no_module_is_refused() {
    assert!(Module::read(b"no module").is_err());
    let whole = module(&[sums(1, 3, |_| 1)]);
    assert!(Module::read(&whole[..whole.len() - 4]).is_err());
}
