//! Exports, which JavaScript pulls from, and imports, which pull from JavaScript.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::error::describe;
use super::options::JsResult;
use super::promise::promise;
use super::scope::Scope;
use crate::engine::{self, ExportOptions, ImportOptions, ImportProgress, Source};
use crate::error::{Error, ErrorCode, Result};
use crate::storage::LocalFuture;

/// One export under way.
#[wasm_bindgen]
pub struct Export {
    /// Away while the next bytes are made.
    inner: Rc<RefCell<Option<engine::Export>>>,
}

#[wasm_bindgen]
impl Export {
    /// The next bytes; undefined: that was all. One call at a time.
    pub fn next(&self) -> Promise {
        let slot = self.inner.clone();
        promise(async move {
            let taken = slot.borrow_mut().take();
            let Some(mut export) = taken else {
                return Err(Error::new(ErrorCode::Internal, "BUG: an export is asked once at a time"));
            };
            let bytes = export.next().await;
            slot.replace(Some(export));
            Ok(bytes?.map_or(JsValue::UNDEFINED, |bytes| Uint8Array::from(&bytes[..]).into()))
        })
    }

    /// How many rows the bytes so far hold.
    pub fn rows(&self) -> f64 {
        self.inner.borrow().as_ref().map_or(0.0, |export| export.rows() as f64)
    }

    /// The number of places that a salvage could not read so far; undefined: this is no salvage.
    pub fn skipped(&self) -> Option<f64> {
        self.inner.borrow().as_ref()?.skipped().map(|skipped| skipped as f64)
    }
}

#[wasm_bindgen]
impl Scope {
    /// An export of the rows that this snapshot reads.
    pub fn export_rows(&self, salvage: bool) -> JsResult<Export> {
        let export = self.fixed()?.export(&self.name(), ExportOptions { salvage });
        Ok(Export { inner: Rc::new(RefCell::new(Some(export))) })
    }

    /// `pull` is given the number of rows so far, and gives a promise of the next bytes, or of undefined. If the
    /// promise is rejected, the import fails, and only the owner of `pull` knows the reason. Resolves to the numbers of
    /// documents, of entries, and, of a salvage, of places that could not be read.
    pub fn import_rows(&self, pull: Function, replace: bool) -> JsResult<Promise> {
        let database = self.database()?;
        Ok(promise(async move {
            let imported = database.import(&mut Pulled(pull), ImportOptions { replace }).await?;
            let numbers = [Some(imported.documents), Some(imported.entries), imported.skipped];
            Ok(numbers.into_iter().flatten().map(|number| JsValue::from_f64(number as f64)).collect::<Array>().into())
        }))
    }
}

struct Pulled(Function);

impl Source for Pulled {
    fn next(&mut self, progress: ImportProgress) -> LocalFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let piece = match self.0.call1(&JsValue::UNDEFINED, &(progress.rows as f64).into()) {
                Ok(piece) => JsFuture::from(Promise::resolve(&piece)).await,
                Err(thrown) => Err(thrown),
            };
            match piece {
                Ok(piece) if piece.is_undefined() => Ok(None),
                // A view of whatever kind, and perhaps of another realm.
                Ok(piece) => Ok(Some(piece.unchecked_ref::<Uint8Array>().to_vec())),
                Err(thrown) => Err(Error::new(ErrorCode::Aborted, format!("the source failed: {}", describe(&thrown)))),
            }
        })
    }
}
