//! Documents, in a root and in a clone.

use serde_json::{Value, json};

use crate::support::{run, say};

/// SEMANTICS W11, W7: in a root, what is written is there, and what is taken cannot be inserted.
#[test]
fn a_document_that_was_written_is_read() {
    run(async |world| {
        let db = world.main().await;
        assert_eq!(db.ok(say::insert(&[("a", json!({"n": 1})), ("b", json!({"n": 2}))])).await, json!(["a", "b"]));
        assert_eq!(db.ok(say::get("a")).await, json!([{"n": 1}]));
        assert_eq!(db.ok(say::get("c")).await, Value::Null);
        assert_eq!(db.ok(say::count()).await, json!(2));
        assert_eq!(db.ok(say::find()).await, json!([["a", {"n": 1}], ["b", {"n": 2}]]));
        assert_eq!(db.ok(say::update("a", json!({"$inc": {"n": 5}}))).await, json!(true));
        assert_eq!(db.ok(say::delete(&["b", "c"])).await, json!(1));
        assert_eq!(db.ok(say::find()).await, json!([["a", {"n": 6}]]));
        let again = world.main().await;
        assert_eq!(again.ok(say::find()).await, json!([["a", {"n": 6}]]), "and after opening again");
    });
}
