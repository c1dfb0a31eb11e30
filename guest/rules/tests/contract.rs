//! The interfaces of WASI 0.3 are those of 0.2 with functions that can be awaited, and nothing else.

use std::path::Path;

use wit_parser::{Function, Handle, Interface, Resolve, Stability, Type, TypeDefKind};

/// An interface, its twin, and the functions of the twin that are not async, since they never wait.
const TWINS: [(&str, &str, &[&str]); 3] = [
    // What a handle can tell of itself at any time. All others wait for the store, or for the calls before them.
    ("sessions", "sessions-async", &["id", "digest", "app", "created", "expires-at", "modified", "accessed"]),
    ("manager", "manager-async", &[]),
    // Only requests the cleanup.
    ("storage", "storage-async", &["cleanup-later"]),
];

fn package() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).unwrap();
    resolve
}

fn interface<'a>(resolve: &'a Resolve, name: &str) -> &'a Interface {
    let named = |interface: &&Interface| interface.name.as_deref() == Some(name);
    resolve.interfaces.iter().map(|(_, interface)| interface).find(named).unwrap()
}

/// A type as it is written. Of a resource each interface has its own.
fn text(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}") };
    let definition = &resolve.types[*id];
    let text = |ty: &Type| text(resolve, ty);
    let part = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), text);
    match &definition.kind {
        TypeDefKind::Type(ty) => text(ty),
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => {
            format!("{} {}", definition.kind.as_str(), resolve.types[*id].name.as_ref().unwrap())
        }
        TypeDefKind::Option(ty) => format!("option<{}>", text(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", text(ty)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", part(&result.ok), part(&result.err)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(text).collect::<Vec<_>>().join(", ")),
        // The twin uses the type, and has none of its own.
        _ => format!("{} {id:?}", definition.name.as_ref().unwrap()),
    }
}

/// A function without its being async.
fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters = function.params.iter().map(|param| format!("{}: {}", param.name, text(resolve, &param.ty)));
    let parameters = parameters.collect::<Vec<_>>().join(", ");
    let result = function.result.as_ref().map(|ty| text(resolve, ty));
    format!("{}({parameters}) -> {result:?}\n{:?}", function.name, function.docs.contents)
}

#[test]
fn an_async_interface_has_the_functions_of_its_twin_in_the_same_order() {
    let resolve = package();
    for (of_02, of_03, _) in TWINS {
        let functions = [of_02, of_03].map(|name| {
            let functions = interface(&resolve, name).functions.values();
            functions.map(|function| signature(&resolve, function)).collect::<Vec<_>>()
        });
        assert!(functions[0].len() > 7);
        for (n, function) in functions[0].iter().enumerate() {
            assert_eq!(functions[1].get(n), Some(function), "{of_03} differs from {of_02}");
        }
        assert_eq!(functions[0].len(), functions[1].len(), "{of_03} has more functions than {of_02}");
    }
}

#[test]
fn exactly_the_functions_that_may_wait_are_async() {
    let resolve = package();
    for (of_02, of_03, at_once) in TWINS {
        assert!(interface(&resolve, of_02).functions.values().all(|function| !function.kind.is_async()), "{of_02}");
        let functions = interface(&resolve, of_03).functions.values();
        let not_async = functions.filter(|function| !function.kind.is_async()).map(Function::item_name);
        assert_eq!(not_async.collect::<Vec<_>>(), *at_once, "{of_03}");
    }
}

#[test]
fn each_function_says_since_when_it_exists_and_its_twin_the_same() {
    let resolve = package();
    for (of_02, of_03, _) in TWINS {
        let (functions, twins) = (&interface(&resolve, of_02).functions, &interface(&resolve, of_03).functions);
        for (name, function) in functions {
            assert!(matches!(function.stability, Stability::Stable { .. }), "{of_02}.{name} lacks @since");
            assert_eq!(twins[name].stability, function.stability, "{of_03}.{name}");
        }
    }
}

#[test]
fn an_async_interface_has_no_types_of_its_own() {
    let resolve = package();
    for (_, of_03, _) in TWINS {
        for (name, id) in &interface(&resolve, of_03).types {
            let kind = &resolve.types[*id].kind;
            assert!(
                matches!(kind, TypeDefKind::Type(_) | TypeDefKind::Resource),
                "{of_03}.{name} is used from its twin"
            );
        }
    }
}
