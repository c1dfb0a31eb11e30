use super::*;

#[test]
fn cleanup_is_a_probability_per_start() {
    let started = |probability: f64| {
        let outside = plain();
        for _ in 0..1000 {
            outside.start(Options { cleanup: Some(probability), ..options() }).unwrap();
        }
        outside.calls().iter().filter(|call| **call == "cleanup-later").count()
    };
    assert_eq!(started(1.0), 1000);
    assert_eq!(started(0.0), 0);
    let some = started(0.1);
    assert!((50..200).contains(&some), "{some} of 1000 at 0.1");
}

#[test]
fn nothing_is_drawn_for_a_cleanup_that_is_certain_or_off() {
    let id = |cleanup| plain().start(Options { cleanup: Some(cleanup), ..options() }).unwrap().id();
    assert_eq!(id(0.0), id(1.0), "the randomness of this test repeats itself");
    assert_ne!(id(0.0), id(0.5));
}
