use super::*;
use crate::testing::{NOW, manager, options, owned, plain};

#[test]
fn all_sessions_of_an_owner_are_listed_and_ended_but_one() {
    let outside = plain();
    let owned = |owner: &str| {
        let session = outside.start(options()).unwrap();
        session.set_owner(Some(owner.into())).unwrap();
        session.save().unwrap();
        session
    };
    let (here, _there, other) = (owned("ann"), owned("ann"), owned("bob"));
    let world = outside.instance();
    let location = options().location;
    let page = manager::list(&world, &location, Some("ann"), None, 10).unwrap();
    assert_eq!(page.entries.len(), 2);
    assert!(page.entries.iter().any(|entry| entry.digest == here.digest()));
    assert_eq!(manager::destroy_owned(&world, &location, "ann", Some(&here.digest())).unwrap(), 1);
    assert_eq!(manager::count(&world, &location).unwrap(), 2);
    assert!(!outside.resume(&here.id()).unwrap().created());
    assert!(!outside.resume(&other.id()).unwrap().created());
}

#[test]
fn the_grant_says_what_an_application_may_call_of_the_manager() {
    let outside = plain();
    let ann = owned(&outside, "ann");
    let (world, location) = (outside.instance(), options().location);
    let denied = |function: &str, grant: &str, outcome: Option<Error>| {
        let names = |text: &str| text.contains(function) && text.contains(grant) && text.contains("[session.manager]");
        assert!(matches!(&outcome, Some(Error::Denied(text)) if names(text)), "{outcome:?}");
    };
    let everything = |grant: &str| {
        denied("create-tables", grant, manager::create_tables(&world, &location).err().unwrap().pop());
        denied("drop-tables", grant, manager::drop_tables(&world, &location).err().unwrap().pop());
        denied("tables-exist", grant, manager::tables_exist(&world, &location).err());
        denied("cleanup", grant, manager::cleanup(&world, &location, 1).err());
        denied("count", grant, manager::count(&world, &location).err());
        denied("list without", grant, manager::list(&world, &location, None, None, 1).err());
        denied("destroy without", grant, manager::destroy(&world, &location, &ann.digest(), None).err());
    };
    outside.calls();

    outside.call_as(1, Grant::None);
    everything("'none'");
    denied("list with", "'none'", manager::list(&world, &location, Some("ann"), None, 1).err());
    denied("destroy with", "'none'", manager::destroy(&world, &location, &ann.digest(), Some("ann")).err());
    denied("destroy-owned", "'none'", manager::destroy_owned(&world, &location, "ann", None).err());
    outside.call_as(2, Grant::Owners);
    everything("'owners'");
    assert!(outside.calls().is_empty(), "nothing that is refused reaches the store");

    assert_eq!(manager::list(&world, &location, Some("ann"), None, 10).unwrap().entries.len(), 1);
    assert!(!manager::destroy(&world, &location, &ann.digest(), Some("bob")).unwrap(), "it is not bob's");
    assert!(manager::destroy(&world, &location, &ann.digest(), Some("ann")).unwrap());
    assert_eq!(manager::destroy_owned(&world, &location, "ann", None).unwrap(), 0);
    let session = owned(&outside, "ann");
    outside.call_as(3, Grant::None);
    assert_eq!(session.destroy_others().unwrap(), 0, "a session's own function is not the manager's");

    outside.call_as(4, Grant::All);
    manager::create_tables(&world, &location).unwrap();
    assert!(manager::tables_exist(&world, &location).unwrap());
    assert_eq!(manager::cleanup(&world, &location, 1).unwrap(), 0);
    assert_eq!(manager::count(&world, &location).unwrap(), 1);
    assert!(manager::destroy(&world, &location, &session.digest(), None).unwrap());
    manager::drop_tables(&world, &location).unwrap();
}

#[test]
fn a_list_comes_in_pages() {
    let outside = plain();
    for _ in 0..5 {
        outside.visited();
    }
    let world = outside.instance();
    let mut digests = Vec::new();
    let mut after = None;
    for length in [2, 2, 1] {
        let page = manager::list(&world, &options().location, None, after.as_deref(), 2).unwrap();
        assert_eq!(page.entries.len(), length);
        digests.extend(page.entries.into_iter().map(|entry| entry.digest));
        after = page.next;
        assert_eq!(after.as_ref(), digests.last().filter(|_| length == 2));
    }
    assert!(digests.is_sorted_by(|a, b| a < b));
}

#[test]
fn the_manager_counts_lists_and_cleans_up_by_the_clock() {
    let outside = plain();
    let (world, location) = (outside.instance(), options().location);
    let expired = [outside.visited(), outside.visited()];
    outside.wait(10_000);
    let live = outside.visited();
    assert_eq!(manager::count(&world, &location).unwrap(), 1);
    let listed = manager::list(&world, &location, None, None, 10).unwrap().entries;
    assert_eq!(listed[0].digest, id::to_hex(&id::digest(&live)));
    assert_eq!((listed.len(), listed[0].created), (1, NOW + 10_000));
    assert!(!manager::destroy(&world, &location, &id::to_hex(&id::digest(&expired[0])), None).unwrap());
    assert_eq!(outside.stored(), 2, "it is removed all the same");
    assert_eq!(manager::cleanup(&world, &location, 0).unwrap(), 0);
    assert_eq!(manager::cleanup(&world, &location, 10).unwrap(), 1);
    assert_eq!(outside.stored(), 1);
}

#[test]
fn the_manager_tells_what_failed() {
    let outside = plain();
    let (world, location) = (outside.instance(), options().location);
    outside.fail(true);
    for outcome in [manager::create_tables(&world, &location), manager::drop_tables(&world, &location)] {
        assert!(matches!(&outcome.unwrap_err()[..], [Error::Storage(text)] if !text.contains("hunter2")));
    }
}

#[test]
fn what_is_no_digest_is_refused() {
    let world = plain().instance();
    assert!(matches!(manager::destroy(&world, &options().location, "abc", None), Err(Error::InvalidName(_))));
}
