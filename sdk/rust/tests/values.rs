//! Every value is either read back unchanged or refused.

use std::{cell::Cell, collections::BTreeMap};

use lemon_session::{Bytes, Error, Value, from_value, to_value};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::TestRunner,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

fn trip<T: Serialize + DeserializeOwned>(value: &T) -> T {
    from_value(to_value(value).unwrap()).unwrap()
}

#[track_caller]
fn refused<T: Serialize>(value: T, word: &str) {
    match to_value(&value) {
        Err(Error::InvalidValue(why)) => assert!(why.contains(word), "{why}"),
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn mismatched<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
    match from_value::<T>(value) {
        Err(Error::WrongType(why)) => why,
        other => panic!("no wrong type: {other:?}"),
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(i32, i32),
    Box { width: u32, label: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    owner: String,
    items: Vec<Item>,
    counts: BTreeMap<u16, i64>,
    shape: Shape,
    paid: Option<bool>,
    mark: char,
    nothing: (),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item(String, f64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapper(i64);

fn real() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("JSON has no infinity and no NaN", |real| real.is_finite())
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Point),
        real().prop_map(Shape::Circle),
        any::<(i32, i32)>().prop_map(|(from, to)| Shape::Line(from, to)),
        any::<(u32, Option<String>)>().prop_map(|(width, label)| Shape::Box { width, label }),
    ]
}

fn cart() -> impl Strategy<Value = Cart> {
    let items = prop::collection::vec((any::<String>(), real()).prop_map(|(name, price)| Item(name, price)), 0..4);
    let counts = prop::collection::btree_map(any::<u16>(), any::<i64>(), 0..4);
    (any::<String>(), items, counts, shape(), any::<Option<bool>>(), any::<char>()).prop_map(
        |(owner, items, counts, shape, paid, mark)| Cart { owner, items, counts, shape, paid, mark, nothing: () },
    )
}

proptest! {
    #[test]
    fn integers_round_trip(integer: i64) {
        prop_assert_eq!(to_value(&integer).unwrap(), Value::Integer(integer));
        prop_assert_eq!(trip(&integer), integer);
        prop_assert_eq!(trip(&i128::from(integer)), i128::from(integer));
        prop_assert_eq!(trip(&Wrapper(integer)), Wrapper(integer));
        prop_assert_eq!(trip(&Some(integer)), Some(integer));
    }

    #[test]
    fn unsigned_integers_round_trip_or_are_refused(integer: u64) {
        match i64::try_from(integer) {
            Ok(_) => prop_assert_eq!(trip(&integer), integer),
            Err(_) => prop_assert!(matches!(to_value(&integer), Err(Error::InvalidValue(_)))),
        }
    }

    #[test]
    fn reals_round_trip_to_the_bit(bits: u64, single: u32) {
        prop_assert_eq!(trip(&f64::from_bits(bits)).to_bits(), bits);
        let single = f32::from_bits(single);
        prop_assert!(trip(&single) == single || single.is_nan() && trip(&single).is_nan());
    }

    #[test]
    fn nested_reals_round_trip_to_the_bit(real in real()) {
        prop_assert_eq!(trip(&vec![real])[0].to_bits(), real.to_bits());
    }

    #[test]
    fn texts_and_bytes_round_trip(text: String, bytes: Vec<u8>, mark: char) {
        prop_assert_eq!(to_value(&text).unwrap(), Value::Text(text.clone()));
        prop_assert_eq!(trip(&text), text);
        prop_assert_eq!(trip(&mark), mark);
        prop_assert_eq!(to_value(&Bytes(bytes.clone())).unwrap(), Value::Bytes(bytes.clone()));
        prop_assert_eq!(trip(&Bytes(bytes.clone())), Bytes(bytes.clone()));
        prop_assert_eq!(trip(&serde_bytes::ByteBuf::from(bytes.clone())).into_vec(), bytes.clone());
        prop_assert_eq!(trip(&bytes), bytes, "a list of numbers");
    }

    #[test]
    fn nested_data_keeps_its_shape(cart in cart()) {
        prop_assert!(matches!(to_value(&cart).unwrap(), Value::Json(_)));
        prop_assert_eq!(trip(&cart), cart);
    }

    #[test]
    fn variants_round_trip(shape in shape()) {
        prop_assert_eq!(trip(&shape), shape);
    }

}

#[test]
fn an_integer_is_read_as_a_real_if_nothing_is_lost() {
    // Digits around the precision of a real, with and without trailing zeros.
    let integers = (any::<i64>(), 0_u32..24, any::<bool>())
        .prop_map(|(integer, bits, is_even)| if is_even { integer >> bits << bits } else { integer >> bits });
    let (read, refused) = (Cell::new(0), Cell::new(0));
    let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(&integers, |integer: i64| {
        let size = integer.unsigned_abs();
        let has_room = integer == 0 || size.ilog2() - size.trailing_zeros() < f64::MANTISSA_DIGITS;
        match from_value::<f64>(Value::Integer(integer)) {
            Ok(real) => {
                read.set(read.get() + 1);
                prop_assert!(has_room && real as i128 == i128::from(integer));
            }
            Err(_) => {
                refused.set(refused.get() + 1);
                prop_assert!(!has_room);
            }
        }
        Ok(())
    });
    kept.unwrap();
    assert!(read.get() > 16 && refused.get() > 16, "{} read, {} refused", read.get(), refused.get());
}

#[test]
fn json_that_was_changed_is_read_or_mismatched() {
    let part = select(vec!["", "0", "-1.5", "\"", "null", "[]", "{}", ",", "\"owner\":1,", "é", " "]);
    let all = (cart(), any::<Index>(), 0_usize..3, part);
    let (read, mismatched) = (Cell::new(0), Cell::new(0));
    let kept = TestRunner::new(ProptestConfig::with_source_file(file!())).run(&all, |(cart, begin, length, part)| {
        let Value::Json(text) = to_value(&cart).unwrap() else { panic!("a cart is JSON") };
        let mut characters: Vec<char> = text.chars().collect();
        let begin = begin.index(characters.len());
        characters.splice(begin..(begin + length).min(text.chars().count()), part.chars());
        match from_value::<Cart>(Value::Json(String::from_iter(characters))) {
            Ok(cart) => {
                read.set(read.get() + 1);
                prop_assert_eq!(trip(&cart), cart);
            }
            Err(error) => {
                mismatched.set(mismatched.get() + 1);
                prop_assert!(matches!(error, Error::WrongType(_)), "{:?}", error);
            }
        }
        Ok(())
    });
    kept.unwrap();
    assert!(read.get() > 16 && mismatched.get() > 16, "{} read, {} mismatched", read.get(), mismatched.get());
}

#[test]
fn each_type_has_its_kind() {
    assert_eq!(to_value(&true).unwrap(), Value::Boolean(true));
    assert_eq!(to_value(&1u8).unwrap(), Value::Integer(1));
    assert_eq!(to_value(&1.0f32).unwrap(), Value::Real(1.0));
    assert_eq!(to_value(&'é').unwrap(), Value::Text("é".to_owned()));
    assert_eq!(to_value(&()).unwrap(), Value::Null);
    assert_eq!(to_value(&None::<u8>).unwrap(), Value::Null);
    assert_eq!(to_value(&Shape::Point).unwrap(), Value::Text("Point".to_owned()));
    assert_eq!(to_value(&[1, 2]).unwrap(), Value::Json("[1,2]".to_owned()));
    assert_eq!(to_value(&[1.0, 2.5]).unwrap(), Value::Json("[1.0,2.5]".to_owned()));
    assert_eq!(to_value(&Shape::Circle(1.0)).unwrap(), Value::Json("{\"Circle\":1.0}".to_owned()));
    assert_eq!(to_value(&BTreeMap::from([("a", 1)])).unwrap(), Value::Json("{\"a\":1}".to_owned()));
    trip(&());
}

#[test]
fn what_json_has_not_is_refused_inside_of_lists_and_dictionaries() {
    refused([Bytes(vec![1])], "bytes");
    refused(BTreeMap::from([("a", serde_bytes::ByteBuf::from([1]))]), "bytes");
    refused(Some((1, Bytes(vec![1]))), "bytes");
    refused([f64::NAN], "NaN");
    refused([f32::INFINITY], "infinite");
    refused(Shape::Circle(f64::NEG_INFINITY), "infinite");
    refused(Item("a".to_owned(), f64::NAN), "NaN");
    refused([u64::MAX], "2^63");
    refused(u128::MAX, "2^63");
    refused(BTreeMap::from([("a", [i128::MIN])]), "2^63");
    refused(BTreeMap::from([(vec![1], 1)]), "key");
}

/// Nested lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nest(Vec<Nest>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tower {
    Top,
    Inline(Box<Tower>),
    Tuple(Box<Tower>, u8),
    Fields { inner: Box<Tower> },
}

#[test]
fn what_is_nested_too_deep_to_be_read_is_refused() {
    let nest = |levels| (1..levels).fold(Nest(Vec::new()), |inner, _| Nest(vec![inner]));
    assert_eq!(trip(&nest(127)), nest(127));
    refused(nest(128), "127");
    refused(nest(1000), "127");

    let tower = |levels, floor: fn(Box<Tower>) -> Tower| (0..levels).fold(Tower::Top, |top, _| floor(Box::new(top)));
    type Floor = fn(Box<Tower>) -> Tower;
    let floors: [(usize, Floor); 3] =
        [(127, Tower::Inline), (63, |inner| Tower::Tuple(inner, 0)), (63, |inner| Tower::Fields { inner })];
    for (highest, floor) in floors {
        assert_eq!(trip(&tower(highest, floor)), tower(highest, floor));
        refused(tower(highest + 1, floor), "127");
    }
}

#[test]
fn the_part_of_a_struct_that_does_not_fit_is_named() {
    #[derive(Debug, Deserialize)]
    struct Basket {
        #[expect(dead_code, reason = "it is only read")]
        items: Vec<Item>,
        #[expect(dead_code, reason = "it is only read")]
        total: u32,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        #[expect(dead_code, reason = "it is only read")]
        price: u32,
    }

    let why = |json: &str| {
        let why = mismatched::<Basket>(Value::Json(json.to_owned()));
        why.split_once("Basket, found JSON: ").unwrap().1.to_owned()
    };
    assert_eq!(why(r#"{"items":[]}"#), "missing field `total`");
    assert_eq!(why(r#"{"items":[{"price":1},{}],"total":1}"#), "missing field `price` in items[1]");
    assert_eq!(why(r#"{"items":[{"price":"hunter2, expected"}],"total":1}"#), "expected u32 in items[0].price");
    assert_eq!(why(r#"{"items":[],"total":-1}"#), "expected u32 in total");
    assert_eq!(why(r#"{"items":[],"total":1} 2"#), "there is more after it");
}

#[test]
fn a_value_of_another_type_is_named_and_not_shown() {
    let why = mismatched::<u32>(Value::Text("hunter2".to_owned()));
    assert_eq!(why, "expected u32, found a text");
    let why = mismatched::<Vec<u32>>(Value::Json("[1,\"hunter2\"]".to_owned()));
    assert!(why.ends_with("Vec<u32>, found JSON: expected u32 in [1]"), "{why}");
    mismatched::<u8>(Value::Integer(256));
    mismatched::<u8>(Value::Integer(-1));
    mismatched::<i64>(Value::Real(1.0));
    mismatched::<f32>(Value::Real(0.1));
    mismatched::<f64>(Value::Integer(i64::MAX));
    mismatched::<String>(Value::Bytes(b"text".to_vec()));
    mismatched::<Bytes>(Value::Text("text".to_owned()));
    mismatched::<serde_bytes::ByteBuf>(Value::Text("text".to_owned()));
    mismatched::<Shape>(Value::Text("Triangle".to_owned()));
    mismatched::<i64>(Value::Null);
    mismatched::<Cart>(Value::Integer(1));
}

#[test]
fn null_is_none_and_what_is_there_is_some() {
    assert_eq!(from_value::<Option<i64>>(Value::Null).unwrap(), None);
    assert_eq!(from_value::<Option<i64>>(Value::Integer(1)).unwrap(), Some(1));
}

#[test]
fn a_serde_json_value_is_stored_as_what_it_holds() {
    assert_eq!(to_value(&serde_json::json!("text")).unwrap(), Value::Text("text".to_owned()));
    assert_eq!(to_value(&serde_json::json!(1)).unwrap(), Value::Integer(1));
    let nested = serde_json::json!({"a": [1, 1.0, null, true, "b"]});
    assert_eq!(trip(&nested), nested);
}
