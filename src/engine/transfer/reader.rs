//! Reading an export, in pieces of any size: every frame is checked before anything in it counts, and what is wrong is
//! told with the frame's number and the byte that it begins at.

use super::format::{
    BODY_BYTES, Bound, CHECKED_BYTES, CHUNK_BYTES, COLLECTION, END, End, FORMAT, Frame, HEAD_BYTES, HEADER, Header,
    MAGIC, PREAMBLE_BYTES, ROWS, Row, Skipped, check,
};
use crate::engine::op::encoded_key;
use crate::error::{Detail, Error, ErrorCode, Result};
use crate::query::twice;
use crate::types::number::Number;
use crate::types::pack::{EXT_BIGINT, Reader, Shape, write_array, write_bin, write_map, write_text};
use crate::types::{Bytes, CollectionName, Kind, key, limits};

const EXT_TIMESTAMP: i8 = -1;
/// Milliseconds from 1970 to the last moment that a JavaScript Date can say.
const LAST_DATE: i128 = 8_640_000_000_000_000;

/// What may come next.
enum Place {
    Preamble,
    Header,
    /// Before the first collection, and behind each frame up to the end: the collection that rows belong to, and the
    /// last key.
    Inside(Option<(CollectionName, Kind, Vec<u8>)>),
    End,
}

pub struct FrameReader {
    /// What has come and is not read yet, from `start` on.
    bytes: Vec<u8>,
    start: usize,
    /// Where what is not read yet stands in the whole.
    offset: u64,
    /// Of the frame that comes next; the preamble is 0.
    number: u64,
    chain: u64,
    place: Place,
    /// The frame of rows that is being read.
    rows: Option<RowsFrame>,
    pub documents: u64,
    pub entries: u64,
}

/// A frame of rows, checked as a whole. Its rows are taken out some at a time: a frame of 16 MiB may hold millions of
/// them, and each takes much more memory apart than in the frame.
struct RowsFrame {
    body: Bytes,
    /// Where the next row begins.
    position: usize,
    left: usize,
    /// What the frame takes in the export.
    size: usize,
}

/// So many rows are taken out of a frame at a time.
const ROWS_AT_ONCE: usize = 1024;

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidImport, message)
}

impl FrameReader {
    pub fn new() -> FrameReader {
        FrameReader {
            bytes: Vec::new(),
            start: 0,
            offset: 0,
            number: 0,
            chain: 0,
            place: Place::Preamble,
            rows: None,
            documents: 0,
            entries: 0,
        }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        // Room is made for what has come, up to twice of it, and for no more than the frame: its size is only said yet.
        let have = self.bytes.len() + piece.len();
        let frame = self.frame_size().unwrap_or(have);
        self.bytes.reserve_exact(frame.min(2 * have).max(have) - self.bytes.len());
        self.bytes.extend_from_slice(piece);
    }

    /// What the frame that has begun says that it takes.
    fn frame_size(&self) -> Option<usize> {
        let size = self.bytes.get(self.start..self.start + 4)?.try_into().expect("BUG: four bytes");
        let is_frame = !matches!(self.place, Place::Preamble);
        is_frame.then(|| HEAD_BYTES + (u32::from_le_bytes(size) as usize).min(BODY_BYTES))
    }

    /// The next frame, or the next rows of one; `None`: more bytes are needed first.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        self.try_next().map_err(|error| self.located(&error))
    }

    /// All has come. Fails unless the last frame was an end.
    pub fn finish(&self) -> Result<()> {
        match self.place {
            Place::End => Ok(()),
            _ => Err(self.located(&malformed("the export is cut off"))),
        }
    }

    /// Says where something is wrong. A newer format is told as it is: nothing is wrong with it.
    pub fn located(&self, error: &Error) -> Error {
        if error.code() == ErrorCode::FormatTooNew {
            return error.clone();
        }
        let message = format!("{}. frame={}, offset={}", error.message(), self.number, self.offset);
        malformed(message).with("frame", Detail::Number(self.number)).with("offset", Detail::Number(self.offset))
    }

    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// All of a frame, or of the preamble, was read.
    fn pass(&mut self, count: usize) {
        self.offset += count as u64;
        self.number += 1;
    }

    fn try_next(&mut self) -> Result<Option<Frame>> {
        if let Some(rows) = self.rows.take() {
            return self.read_some_rows(rows).map(Some);
        }
        if matches!(self.place, Place::Preamble) && !self.read_preamble()? {
            return Ok(None);
        }
        let unread = self.unread();
        if matches!(self.place, Place::End) {
            return if unread.is_empty() { Ok(None) } else { Err(malformed("bytes follow the end of the export")) };
        }
        let Some(head) = unread.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let size = u32::from_le_bytes(head[..4].try_into().expect("BUG: four bytes")) as usize;
        if size > BODY_BYTES {
            return Err(malformed(format!("a frame is too large. bytes={size}")));
        }
        let Some(body) = unread.get(HEAD_BYTES..HEAD_BYTES + size) else { return Ok(None) };
        let chain = check(self.chain, body);
        if head[4..] != chain.to_le_bytes() {
            return Err(malformed("a frame is damaged, or not the one that belongs here: its check differs"));
        }
        self.chain = chain;
        let body = self.take_body(size);
        self.read_body(&body).map(Some)
    }

    /// Takes a frame's body out of the buffer. Where it is most of the buffer it keeps that, and the rest is copied: so
    /// a large frame is in memory once.
    fn take_body(&mut self, size: usize) -> Bytes {
        let frame = HEAD_BYTES + size;
        if self.start > 0 || 2 * frame < self.bytes.len() {
            let start = self.start + HEAD_BYTES;
            self.start += frame;
            return Bytes::from(&self.bytes[start..start + size]);
        }
        let rest = self.bytes[frame..].to_vec();
        let whole = std::mem::replace(&mut self.bytes, rest);
        Bytes::from(whole).slice(HEAD_BYTES..frame)
    }

    /// False: more bytes are needed first.
    fn read_preamble(&mut self) -> Result<bool> {
        let unread = self.unread();
        let alike = unread.iter().zip(&MAGIC).take_while(|(a, b)| a == b).count();
        if alike < unread.len().min(MAGIC.len()) {
            return Err(malformed("these bytes are no export"));
        }
        let Some(preamble) = unread.first_chunk::<PREAMBLE_BYTES>() else { return Ok(false) };
        let (checked, own) = preamble.split_at(CHECKED_BYTES);
        let chain = check(0, checked);
        if own != chain.to_le_bytes() {
            return Err(malformed("the beginning of the export is damaged: its check differs"));
        }
        let format = u32::from_le_bytes(checked[MAGIC.len()..].try_into().expect("BUG: four bytes"));
        if format > FORMAT {
            let message = format!("the export is of a newer format than this version reads. format={format}");
            return Err(Error::new(ErrorCode::FormatTooNew, message));
        }
        if format == 0 {
            return Err(malformed("there is no format 0"));
        }
        self.chain = chain;
        self.place = Place::Header;
        self.start += PREAMBLE_BYTES;
        self.pass(PREAMBLE_BYTES);
        Ok(true)
    }

    fn read_body(&mut self, body: &Bytes) -> Result<Frame> {
        let mut reader = Reader::new(body);
        let items = reader.array()?;
        let frame = match (reader.integer()?, items) {
            (HEADER, 4..) => self.read_header(&mut reader)?,
            (COLLECTION, 3..) => self.read_collection(&mut reader)?,
            (ROWS, 2) => return self.read_rows(body, &mut reader),
            (END, 3..) => self.read_end(&mut reader, items)?,
            (number, items) => return Err(malformed(format!("no such frame. kind={number}, items={items}"))),
        };
        let known = match frame {
            Frame::Header(_) => 4,
            Frame::Collection(..) => 3,
            Frame::Rows(_) => unreachable!("BUG: rows are read by themselves"),
            Frame::End(End { skipped: None, .. }) => 3,
            Frame::End(_) => 5,
        };
        for _ in known..items {
            reader.value()?;
        }
        if !reader.is_at_end() {
            return Err(malformed("bytes follow the frame's body"));
        }
        self.pass(HEAD_BYTES + body.len());
        Ok(frame)
    }

    fn read_header(&mut self, reader: &mut Reader<'_>) -> Result<Frame> {
        if !matches!(self.place, Place::Header) {
            return Err(malformed("a header stands at the beginning only"));
        }
        self.place = Place::Inside(None);
        let (database, version) = (reader.text()?.to_string(), reader.text()?.to_string());
        Ok(Frame::Header(Header { database, version, time: unsigned(reader)? }))
    }

    fn read_collection(&mut self, reader: &mut Reader<'_>) -> Result<Frame> {
        let Place::Inside(before) = &self.place else { return Err(malformed("an export begins with its header")) };
        let name = CollectionName::new(reader.text()?)?;
        let kind = match reader.text()? {
            "documents" => Kind::Document,
            "kv" => Kind::Entry,
            other => return Err(malformed(format!("there is no such kind of collection. kind={other:?}"))),
        };
        if before.as_ref().is_some_and(|(before, ..)| *before >= name) {
            return Err(malformed(format!("collections do not rise. collection={name}")));
        }
        self.place = Place::Inside(Some((name.clone(), kind, Vec::new())));
        Ok(Frame::Collection(name, kind))
    }

    fn read_rows(&mut self, body: &Bytes, reader: &mut Reader<'_>) -> Result<Frame> {
        let left = reader.array()?;
        if left == 0 {
            return Err(malformed("a frame of rows has rows"));
        }
        let (position, size) = (reader.position(), HEAD_BYTES + body.len());
        self.read_some_rows(RowsFrame { body: body.clone(), position, left, size })
    }

    fn read_some_rows(&mut self, mut frame: RowsFrame) -> Result<Frame> {
        let Place::Inside(Some((name, kind, last))) = &mut self.place else {
            return Err(malformed("rows follow their collection"));
        };
        let body = frame.body.slice(frame.position..frame.body.len());
        let mut reader = Reader::new(&body);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while frame.left > 0 && rows.len() < ROWS_AT_ONCE && bytes < CHUNK_BYTES {
            let row = read_row(&body, &mut reader, *kind)?;
            if *last >= row.key {
                return Err(malformed(format!("rows do not rise. collection={name}")));
            }
            last.clone_from(&row.key);
            bytes += row.size();
            rows.push(row);
            frame.left -= 1;
        }
        match kind {
            Kind::Entry => self.entries += rows.len() as u64,
            _ => self.documents += rows.len() as u64,
        }
        if frame.left > 0 {
            frame.position += reader.position();
            self.rows = Some(frame);
        } else if reader.is_at_end() {
            self.pass(frame.size);
        } else {
            return Err(malformed("bytes follow the frame's body"));
        }
        Ok(Frame::Rows(rows))
    }

    fn read_end(&mut self, reader: &mut Reader<'_>, items: usize) -> Result<Frame> {
        if !matches!(self.place, Place::Inside(_)) {
            return Err(malformed("an export begins with its header"));
        }
        let mut end = End { documents: unsigned(reader)?, entries: unsigned(reader)?, ..End::default() };
        if (end.documents, end.entries) != (self.documents, self.entries) {
            let message = format!(
                "the end counts other rows than there are. documents={}, entries={}",
                end.documents, end.entries
            );
            return Err(malformed(message));
        }
        if items >= 5 {
            end.skipped = Some(unsigned(reader)?);
            for _ in 0..reader.array()? {
                if reader.array()? != 3 {
                    return Err(malformed("a place that was skipped has three items"));
                }
                let block = reader.text()?.to_string();
                end.named.push(Skipped { block, from: read_bound(reader)?, to: read_bound(reader)? });
            }
        }
        self.place = Place::End;
        Ok(Frame::End(end))
    }
}

fn unsigned(reader: &mut Reader<'_>) -> Result<u64> {
    u64::try_from(reader.integer()?).map_err(|_| malformed("a number is negative"))
}

fn read_bound(reader: &mut Reader<'_>) -> Result<Option<Bound>> {
    if reader.take_nil() {
        return Ok(None);
    }
    if reader.array()? != 2 {
        return Err(malformed("a bound has two items"));
    }
    Ok(Some(Bound { collection: reader.text()?.to_string(), key: reader.bin()?.to_vec() }))
}

fn read_row(body: &Bytes, reader: &mut Reader<'_>, kind: Kind) -> Result<Row> {
    let items = reader.array()?;
    if !(2..=3).contains(&items) {
        return Err(malformed("a row has two or three items"));
    }
    let key = read_row_key(reader, kind)?;
    let start = reader.position();
    let value = reader.value()?;
    if value.len() > limits::VALUE_BYTES {
        return Err(malformed(format!("a value is too large. bytes={}", value.len())));
    }
    if kind == Kind::Document {
        check_document(value)?;
    }
    check_names(&mut Reader::new(value))?;
    let mut rewriting = Rewriting { value, same: 0, other: None, piece: Vec::new() };
    rewrite(&mut Reader::new(value), &mut rewriting)?;
    let value = rewriting.other.map_or_else(|| body.slice(start..reader.position()), Bytes::from);
    let expiry = if items == 3 { Some(unsigned(reader)?) } else { None };
    if expiry.is_some() && kind == Kind::Document {
        return Err(malformed("a document does not expire"));
    }
    Ok(Row { key, value, expiry })
}

fn read_row_key(reader: &mut Reader<'_>, kind: Kind) -> Result<Vec<u8>> {
    if kind == Kind::Entry {
        return encoded_key(reader);
    }
    let mut encoded = Vec::new();
    key::write_id(&mut encoded, reader.text()?)?;
    Ok(encoded)
}

fn check_document(value: &[u8]) -> Result<()> {
    let mut fields = Reader::new(value);
    for _ in 0..fields.map()? {
        if fields.text()? == "id" {
            return Err(malformed("a document's id is its key, no field"));
        }
        fields.value()?;
    }
    Ok(())
}

/// Fails if an object in a value, whose shape was checked, has two fields of one name.
fn check_names(reader: &mut Reader<'_>) -> Result<()> {
    match reader.shape()? {
        Shape::Array => (0..reader.array()?).try_for_each(|_| check_names(reader)),
        Shape::Map => {
            let count = reader.map()?;
            // Four bytes a field: the shortest fields take two.
            let mut places = Vec::with_capacity(count);
            let fields = reader.clone();
            for _ in 0..count {
                places.push((reader.position() - fields.position()) as u32);
                reader.text()?;
                check_names(reader)?;
            }
            let name = |place: u32| fields.text_behind(place as usize);
            match twice(&mut places, &name) {
                Some(name) => Err(malformed(format!("a field is there twice. field={name}"))),
                None => Ok(()),
            }
        }
        _ => reader.value().map(drop),
    }
}

/// A value as this store writes it. As long as it is what was read, nothing is copied.
struct Rewriting<'a> {
    value: &'a [u8],
    /// How many bytes were the same so far.
    same: usize,
    /// The value, once it differs.
    other: Option<Vec<u8>>,
    /// What is appended next.
    piece: Vec<u8>,
}

impl Rewriting<'_> {
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.piece.clear();
        write(&mut self.piece);
        if self.other.is_none() && self.value[self.same..].starts_with(&self.piece) {
            self.same += self.piece.len();
            return Ok(());
        }
        let (value, same) = (self.value, self.same);
        let other = self.other.get_or_insert_with(|| {
            // Nothing grows by more than a number of five bytes does, which takes nine.
            let most = same + self.piece.len() + (value.len() - same) * 9 / 5;
            let mut other = Vec::with_capacity(most.min(limits::VALUE_BYTES));
            other.extend_from_slice(&value[..same]);
            other
        });
        if other.len() + self.piece.len() > limits::VALUE_BYTES {
            return Err(malformed(format!("a value is too large. bytes={}", other.len() + self.piece.len())));
        }
        other.extend_from_slice(&self.piece);
        Ok(())
    }
}

/// Appends a value whose shape was checked as this store writes it: others may have written a number in a longer form,
/// and equal values must be equal bytes. Its extensions must be such as can be read back.
fn rewrite(reader: &mut Reader<'_>, out: &mut Rewriting<'_>) -> Result<()> {
    match reader.shape()? {
        Shape::Array => {
            let count = reader.array()?;
            out.append(|out| write_array(out, count))?;
            (0..count).try_for_each(|_| rewrite(reader, out))
        }
        Shape::Map => {
            let count = reader.map()?;
            out.append(|out| write_map(out, count))?;
            for _ in 0..count {
                let name = reader.text()?;
                out.append(|out| write_text(out, name))?;
                rewrite(reader, out)?;
            }
            Ok(())
        }
        Shape::Integer | Shape::Float => rewrite_number(reader.value()?, out),
        Shape::Ext => {
            let value = reader.value()?;
            match Reader::new(value).ext()? {
                (EXT_BIGINT, bytes) if !bytes.is_empty() => rewrite_number(value, out),
                (EXT_TIMESTAMP, bytes) if is_date(bytes) => out.append(|out| out.extend_from_slice(value)),
                (kind, _) => Err(malformed(format!("a value is of no known type. extension={kind}"))),
            }
        }
        Shape::Text => {
            let text = reader.text()?;
            out.append(|out| write_text(out, text))
        }
        Shape::Bin => {
            let bytes = reader.bin()?;
            out.append(|out| write_bin(out, bytes))
        }
        Shape::Nil | Shape::Bool => {
            let value = reader.value()?;
            out.append(|out| out.extend_from_slice(value))
        }
    }
}

fn rewrite_number(value: &[u8], out: &mut Rewriting<'_>) -> Result<()> {
    let number = Number::read(value)?.ok_or_else(|| malformed("a number cannot be read"))?;
    out.append(|out| number.write(out))
}

/// Whether a timestamp is whole, and within what a Date can say.
fn is_date(bytes: &[u8]) -> bool {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let (seconds, nanoseconds) = match bytes.len() {
        4 => (number(bytes) as i64, 0),
        8 => ((number(bytes) & ((1 << 34) - 1)) as i64, number(bytes) >> 34),
        12 => (number(&bytes[4..]) as i64, number(&bytes[..4])),
        _ => return false,
    };
    let milliseconds = i128::from(seconds) * 1000 + i128::from(nanoseconds / 1_000_000);
    nanoseconds < 1_000_000_000 && milliseconds.abs() <= LAST_DATE
}
