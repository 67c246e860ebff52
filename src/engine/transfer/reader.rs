//! Reads an export, in pieces of any size. The check of each frame is compared before anything in the frame counts. An
//! error tells the number of the frame and the offset in the export at which the frame begins.

use super::format::{
    BODY_BYTES, Bound, CHECKED_BYTES, CHUNK_BYTES, COLLECTION, END, End, FORMAT, Frame, HEAD_BYTES, HEADER, Header,
    MAGIC, NAMED, PREAMBLE_BYTES, ROWS, Skipped, check,
};
use super::row::{malformed, read_row, unsigned};
use crate::error::{Detail, Error, ErrorCode, Result};
use crate::types::pack::Reader;
use crate::types::{Bytes, CollectionName, Kind};

/// The part of the export that may come next.
enum Expected {
    Preamble,
    Header,
    /// A collection, a frame of rows or the end. Rows belong to the collection that came last, and follow its last key;
    /// `None`: no collection has come yet.
    Inside(Option<(CollectionName, Kind, Vec<u8>)>),
    /// Nothing: the end has come.
    End,
}

pub struct FrameReader {
    /// The bytes that have come. Those before `start` are read already.
    bytes: Vec<u8>,
    start: usize,
    /// The offset in the export at which the frame begins that is read next, or whose rows are being taken out.
    offset: u64,
    /// The number of that frame; the preamble has number 0.
    number: u64,
    /// The check of the preamble or frame before: the seed of the next frame's check.
    chain: u64,
    expected: Expected,
    /// The frame whose rows are being taken out.
    rows: Option<RowsFrame>,
    /// The rows that were taken out so far.
    pub documents: u64,
    pub entries: u64,
}

/// A frame of rows, checked as a whole. Its rows are taken out some at a time: a frame of 16 MiB may hold millions of
/// rows, and a row takes much more memory by itself than in the frame.
struct RowsFrame {
    body: Bytes,
    /// The offset in `body` at which the next row begins.
    position: usize,
    /// The rows that are not taken out yet.
    left: usize,
    /// The bytes of the whole frame in the export, its head included.
    size: usize,
}

/// The most rows that are taken out of a frame at a time.
const ROWS_AT_ONCE: usize = 1024;

impl FrameReader {
    pub fn new() -> FrameReader {
        FrameReader {
            bytes: Vec::new(),
            start: 0,
            offset: 0,
            number: 0,
            chain: 0,
            expected: Expected::Preamble,
            rows: None,
            documents: 0,
            entries: 0,
        }
    }

    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        // Memory is reserved for the whole frame, but for at most twice the bytes that have come: its head may claim
        // more bytes than ever come.
        let have = self.bytes.len() + piece.len();
        let frame = self.frame_size().unwrap_or(have);
        self.bytes.reserve_exact(frame.min(2 * have).max(have) - self.bytes.len());
        self.bytes.extend_from_slice(piece);
    }

    /// The size of the whole frame, as its head claims and at most as large as a frame may be. `None`: the size has not
    /// come yet, or the preamble comes next.
    fn frame_size(&self) -> Option<usize> {
        let size = self.bytes.get(self.start..self.start + 4)?.try_into().expect("BUG: four bytes");
        let is_frame = !matches!(self.expected, Expected::Preamble);
        is_frame.then(|| HEAD_BYTES + (u32::from_le_bytes(size) as usize).min(BODY_BYTES))
    }

    /// The next frame, or the next rows of a frame; `None`: more bytes are needed first.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        self.try_next().map_err(|error| self.located(&error))
    }

    /// All bytes have come. Fails unless the last frame was an end.
    pub fn finish(&self) -> Result<()> {
        match self.expected {
            Expected::End => Ok(()),
            _ => Err(self.located(&malformed("the export is cut off"))),
        }
    }

    /// Adds the number and the offset of the frame to an error. The error of a newer format stays as it is: nothing in
    /// the export is wrong.
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

    /// Counts the preamble or a whole frame, of `count` bytes, as read.
    fn pass(&mut self, count: usize) {
        self.offset += count as u64;
        self.number += 1;
    }

    fn try_next(&mut self) -> Result<Option<Frame>> {
        if let Some(rows) = self.rows.take() {
            return self.read_some_rows(rows).map(Some);
        }
        if matches!(self.expected, Expected::Preamble) && !self.read_preamble()? {
            return Ok(None);
        }
        let unread = self.unread();
        if matches!(self.expected, Expected::End) {
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

    /// Takes a frame's body out of the buffer. A frame that is half of the buffer or more keeps the buffer's memory,
    /// and the bytes behind the frame are copied: so a large frame is in memory once.
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

    /// Reads the preamble. False: more bytes are needed first.
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
        self.expected = Expected::Header;
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
        if !matches!(self.expected, Expected::Header) {
            return Err(malformed("a header stands at the beginning only"));
        }
        self.expected = Expected::Inside(None);
        let (database, version) = (reader.text()?.to_string(), reader.text()?.to_string());
        Ok(Frame::Header(Header { database, version, time: unsigned(reader)? }))
    }

    fn read_collection(&mut self, reader: &mut Reader<'_>) -> Result<Frame> {
        let Expected::Inside(before) = &self.expected else {
            return Err(malformed("an export begins with its header"));
        };
        let name = CollectionName::new(reader.text()?)?;
        let kind = match reader.text()? {
            "documents" => Kind::Document,
            "kv" => Kind::Entry,
            other => return Err(malformed(format!("there is no such kind of collection. kind={other:?}"))),
        };
        if before.as_ref().is_some_and(|(before, ..)| *before >= name) {
            return Err(malformed(format!("collections do not rise. collection={name}")));
        }
        self.expected = Expected::Inside(Some((name.clone(), kind, Vec::new())));
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
        let Expected::Inside(Some((name, kind, last))) = &mut self.expected else {
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
        if !matches!(self.expected, Expected::Inside(_)) {
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
            let named = reader.array()?;
            if named > NAMED {
                return Err(malformed(format!("an end names at most {NAMED} places. named={named}")));
            }
            for _ in 0..named {
                if reader.array()? != 3 {
                    return Err(malformed("a place that was skipped has three items"));
                }
                let block = reader.text()?.to_string();
                end.named.push(Skipped { block, from: read_bound(reader)?, to: read_bound(reader)? });
            }
        }
        self.expected = Expected::End;
        Ok(Frame::End(end))
    }
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
