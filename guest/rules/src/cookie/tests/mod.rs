mod attributes;
mod header;
mod mark;
mod presented;

use core::cell::Cell;

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{self, select},
    test_runner::TestRunner,
};

use super::*;
use crate::{
    Error, Result, id,
    options::Options,
    testing::{cookie, options, settings},
};

const ID: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn written(change: impl FnOnce(&mut Options, &mut Given)) -> Result<String> {
    let mut options = options();
    let mut given = cookie();
    change(&mut options, &mut given);
    let settings = settings();
    let cookie = Cookie::new(Some(&given), options.https, &settings.cookie, "session");
    cookie.check().map(|()| cookie.set(ID, 1440))
}
