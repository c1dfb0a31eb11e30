//! The pages of examples for WASI 0.3, in `wasmtime serve`.

use crate::{
    store::{Kind, Store},
    walks::walk_three_pages,
    wasmtime::serve,
};

#[test]
fn the_page_in_rust_walks_its_three_pages() {
    let store = Store::new(Kind::Files).expect("a folder");
    walk_three_pages(&serve("visits_async", &store));
}

#[test]
fn the_page_in_python_walks_its_three_pages() {
    let store = Store::new(Kind::Files).expect("a folder");
    walk_three_pages(&serve("visits-async-python", &store));
}
