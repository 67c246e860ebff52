//! The order of a module's functions. A module travels under gzip, which finds what repeats only in the last 32 KiB. So
//! functions that share code stand near each other here, and the module takes 4 % less.
//!
//! The optimizer moves the functions. It sorts them by name, so this file gives them names in the wanted order.

use crate::module::{Function, Module};
use crate::steps::Failure;
use std::collections::{BTreeSet, HashMap};

/// Pieces of so many bytes are looked for.
const PIECE: usize = 7;
/// A function is likened to those that end in so many bytes before it. Gzip also looks back within the function.
const WINDOW: usize = 28_000;
/// A piece that more functions have is in each window anyway.
const COMMON: usize = 400;
/// Keeps a function of few pieces from being called alike for one of them.
const PIECES: u64 = 3;
/// A byte that stands in place of each local's number.
const ANY_LOCAL: u8 = 0x55;

/// The module with a name for each function: sorted by these names, functions that share code are near each other.
pub fn name_in_order(module: &[u8]) -> Result<Vec<u8>, Failure> {
    let Module { imported, functions } = Module::read(module)?;
    let order = in_order(&functions.iter().map(|function| shape(function, module)).collect::<Vec<_>>());
    let mut ranks = vec![0; order.len()];
    order.iter().enumerate().for_each(|(rank, place)| ranks[*place] = rank);
    // One list of names, in a section of its own.
    let mut names = Vec::new();
    write_number(ranks.len(), &mut names);
    for (place, rank) in ranks.iter().enumerate() {
        write_number(imported + place, &mut names);
        write_bytes(format!("{rank:06}").as_bytes(), &mut names);
    }
    let mut section = Vec::new();
    write_bytes(b"name", &mut section);
    section.push(FUNCTION_NAMES);
    write_bytes(&names, &mut section);
    let mut named = module.to_vec();
    named.push(CUSTOM);
    write_bytes(&section, &mut named);
    Ok(named)
}

/// A function's bytes with the same number for every local: `alike` numbers locals after those of the function before.
fn shape(function: &Function, module: &[u8]) -> Vec<u8> {
    let mut body = module[function.range.clone()].to_vec();
    let mentions = function.locals.iter().flat_map(|local| &local.mentions);
    mentions.for_each(|place| body[*place] = ANY_LOCAL);
    body
}

/// The places of the functions, each behind functions that share as many of its pieces as can be had.
fn in_order(bodies: &[Vec<u8>]) -> Vec<usize> {
    let pieces = pieces(bodies);
    let mut holders: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (place, pieces) in pieces.iter().enumerate() {
        pieces.iter().for_each(|piece| holders.entry(piece).or_default().push(place));
    }
    holders.retain(|_, holders| (2..=COMMON).contains(&holders.len()));
    let counts: Vec<u64> = pieces.iter().map(|pieces| shared(pieces, &holders).count() as u64).collect();
    // How many functions of the window have a piece; how many pieces of each function the window has.
    let mut within: HashMap<&[u8], usize> = HashMap::new();
    let mut scores = vec![0; bodies.len()];
    let mut left: BTreeSet<usize> = (0..bodies.len()).collect();
    let (mut order, mut first, mut bytes) = (Vec::new(), 0, 0);
    while let Some(next) = left.iter().copied().reduce(|one, other| {
        // By the part of its pieces; of equal ones the first.
        let (one_has, other_has) = (scores[one] * (counts[other] + PIECES), scores[other] * (counts[one] + PIECES));
        if other_has > one_has { other } else { one }
    }) {
        left.remove(&next);
        order.push(next);
        bytes += bodies[next].len();
        for (piece, holders) in shared(&pieces[next], &holders) {
            let count = within.entry(piece).or_default();
            *count += 1;
            if *count == 1 {
                holders.iter().for_each(|holder| scores[*holder] += 1);
            }
        }
        while bytes > WINDOW && first + 1 < order.len() {
            let gone = order[first];
            first += 1;
            bytes -= bodies[gone].len();
            for (piece, holders) in shared(&pieces[gone], &holders) {
                let count = within.entry(piece).or_default();
                *count -= 1;
                if *count == 0 {
                    holders.iter().for_each(|holder| scores[*holder] -= 1);
                }
            }
        }
    }
    order
}

/// Each function's pieces, one of each kind. Every second one is left out: the order is as good, in half the time.
fn pieces(bodies: &[Vec<u8>]) -> Vec<BTreeSet<&[u8]>> {
    let is_taken = |piece: &&[u8]| piece.iter().fold(0, |bits, byte| bits ^ byte) & 1 == 0;
    bodies.iter().map(|body| body.windows(PIECE).filter(is_taken).collect()).collect()
}

type Holders<'a> = HashMap<&'a [u8], Vec<usize>>;

/// The pieces that other functions have too, with those that have them.
fn shared<'a, 'b>(
    pieces: &'b BTreeSet<&'a [u8]>,
    holders: &'b Holders<'a>,
) -> impl Iterator<Item = (&'a [u8], &'b Vec<usize>)> {
    pieces.iter().filter_map(|piece| Some((*piece, holders.get(piece)?)))
}

/// Numbers of the binary format: a kind of section, and a kind of list of names.
const CUSTOM: u8 = 0;
const FUNCTION_NAMES: u8 = 1;

/// A number in LEB128: seven bits to a byte, low ones first.
fn write_number(mut number: usize, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn write_bytes(bytes: &[u8], into: &mut Vec<u8>) {
    write_number(bytes.len(), into);
    into.extend_from_slice(bytes);
}
