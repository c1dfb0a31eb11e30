//! Joining applications with the session component. The applications are generated from the WIT, and trap when called.

use std::{fs, path::Path, sync::Arc};

use lemon_session_host::{
    ASYNC_COMPONENT, COMPONENT, SessionCtx, SessionCtxView, SessionView,
    compose::{Error, compose, imports_sessions, interfaces, plug_in_provider},
    engine::{EngineOptions, engine},
    store::memory::Memory,
};
use wac_graph::types::{ItemKind, Package, Types};
use wasmtime::{
    Store,
    component::{Component, Linker, ResourceTable, types::ComponentItem},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId, WorldKey};

/// An application whose world contains these lines, built against the WIT as altered by `change`.
fn application(world: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/wit")), folder.path(), &change);
    let mut resolve = Resolve::default();
    resolve.push_dir(folder.path()).unwrap();
    let text = change(&format!("package test:app; world app {{ {world} export run: func(); }}"));
    let package = resolve.push_str("app.wit", &text).unwrap();
    let world = resolve.select_world(&[package], Some("app")).unwrap();
    let mut module = dummy_module(&without_twins(&resolve, world, &text), world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// Without the functions of `sessions`, `manager` and `storage` where an interface for WASI 0.3 takes only types from them.
fn without_twins(resolve: &Resolve, world: WorldId, text: &str) -> Resolve {
    let mut without = resolve.clone();
    let imports = resolve.worlds[world].imports.keys().filter_map(|key| match key {
        WorldKey::Interface(id) => Some(*id),
        WorldKey::Name(_) => None,
    });
    for id in imports {
        let name = resolve.interfaces[id].name.as_deref().unwrap_or_default();
        let is_twin = ["sessions", "manager", "storage"].contains(&name);
        let is_named = text.contains(&format!("import lemon:session/{name}@")) || text.contains("session/application@");
        if is_twin && !is_named {
            without.interfaces[id].functions.clear();
        }
    }
    without
}

fn copy(from: &Path, to: &Path, change: &impl Fn(&str) -> String) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to, change);
        } else {
            fs::write(to, change(&fs::read_to_string(entry.path()).unwrap())).unwrap();
        }
    }
}

const SESSIONS: &str = "import lemon:session/sessions@0.1.0;";
const MANAGER: &str = "import lemon:session/manager@0.1.0;";
const BOTH: &str = "include lemon:session/application@0.1.0;";
const ASYNC: &str = "include lemon:session/application-async@0.1.0;";
const STORAGE: &str = "export lemon:session/storage@0.1.0;";
const PROVIDER: &str = "include lemon:session/provider@0.1.0; import wasi:clocks/wall-clock@0.2.0;";
const ASYNC_PROVIDER: &str = "include lemon:session/provider-async@0.1.0; import wasi:clocks/wall-clock@0.2.0;";

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    session: SessionCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl SessionView for State {
    fn session(&mut self) -> SessionCtxView<'_> {
        SessionCtxView { ctx: &mut self.session }
    }
}

/// The functions that a component imports, by interface.
fn imports(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let ty = component.component_type();
    let with_functions = ty.imports(engine).filter_map(|(name, item)| match item.ty {
        ComponentItem::ComponentInstance(instance) => {
            let has_functions = instance
                .exports(engine)
                .any(|(_, item)| !matches!(item.ty, ComponentItem::Type(_) | ComponentItem::Resource(_)));
            has_functions.then(|| name.to_owned())
        }
        _ => Some(name.to_owned()),
    });
    let mut names: Vec<_> = with_functions.collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_session_component_takes_the_place_of_the_sessions() {
    let engine = engine(&EngineOptions { instances: 4, ..EngineOptions::default() }).unwrap();
    for world in [SESSIONS, BOTH] {
        let composed = compose(&application(world, str::to_owned)).unwrap();
        let component = Component::from_binary(&engine, &composed).unwrap();
        let names = imports(&component);
        assert_eq!(names[..2], ["lemon:session/settings@0.1.0", "lemon:session/storage@0.1.0"]);
        assert!(names[2..].iter().all(|name| name.starts_with("wasi:")), "{names:?}");

        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        lemon_session_host::add_to_linker(&mut linker).unwrap();
        let session = SessionCtx::new(Arc::new(Memory::new()));
        let state = State { wasi: WasiCtx::default(), table: ResourceTable::new(), session };
        let mut store = Store::new(&engine, state);
        store.set_epoch_deadline(1);
        let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
        assert!(instance.get_func(&mut store, "run").is_some());
    }
}

#[test]
fn the_session_component_imports_four_interfaces_and_no_other() {
    let engine = engine(&EngineOptions { instances: 1, ..EngineOptions::default() }).unwrap();
    let names = imports(&Component::from_binary(&engine, COMPONENT).unwrap());
    let names: Vec<_> = names.iter().map(|name| name.split('@').next().unwrap()).collect();
    assert_eq!(
        names,
        ["lemon:session/settings", "lemon:session/storage", "wasi:clocks/wall-clock", "wasi:random/random"]
    );
}

#[test]
fn an_application_without_sessions_is_told_so() {
    let app = application("", str::to_owned);
    assert!(!imports_sessions(&app).unwrap());
    assert!(matches!(compose(&app), Err(Error::NoSessions)));
    assert!(imports_sessions(&application(SESSIONS, str::to_owned)).unwrap());
}

#[test]
fn an_application_for_another_version_is_told_both() {
    let app = application(BOTH, |text| text.replace("0.1.0", "0.2.0"));
    assert!(imports_sessions(&app).unwrap());
    let error = compose(&app).unwrap_err().to_string();
    assert!(error.contains("@0.2.0") && error.contains("lemon:session/sessions@0.1.0"), "{error}");
}

#[test]
fn an_application_built_against_an_altered_interface_is_refused() {
    let app = application(SESSIONS, |text| text.replace("created: func() -> bool", "created: func() -> u32"));
    assert!(matches!(compose(&app), Err(Error::OtherVersion { import, .. }) if import.contains("sessions")));
}

#[test]
fn an_application_that_would_read_the_store_itself_is_refused() {
    for interface in ["storage", "storage-async", "settings"] {
        let app = application(&format!("{SESSIONS} import lemon:session/{interface}@0.1.0;"), str::to_owned);
        assert!(matches!(compose(&app), Err(Error::Forbidden(import)) if import.contains(interface)));
        assert!(matches!(imports_sessions(&app), Err(Error::Forbidden(_))));
    }
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [&b""[..], b"#!/bin/sh", b"\0asm\x01\0\0\0", &COMPONENT[..COMPONENT.len() / 2]] {
        assert!(matches!(compose(bytes), Err(Error::NotAComponent(_))));
    }
}

#[test]
fn with_a_provider_wasi_and_types_are_all_that_is_imported() {
    let provider = application(PROVIDER, str::to_owned);
    let mut components = vec![COMPONENT.to_vec()];
    components.extend([SESSIONS, MANAGER, BOTH].map(|world| compose(&application(world, str::to_owned)).unwrap()));
    for component in components {
        let joined = plug_in_provider(&component, &provider).unwrap();
        let (imports, exports) = interfaces(&joined).unwrap();
        let names: Vec<_> = imports.iter().map(|import| import.split('@').next().unwrap()).collect();
        assert!(names.iter().all(|name| name.starts_with("wasi:") || *name == "lemon:session/types"), "{names:?}");
        assert_eq!(exports, interfaces(&component).unwrap().1);
    }
}

/// The interfaces of which a component of WASI 0.3 imports functions, not types alone, without versions.
fn functions_of(component: &[u8]) -> Vec<String> {
    let mut types = Types::default();
    let package = Package::from_bytes("component", None, component, &mut types).unwrap();
    let has_functions = |kind: &ItemKind| match kind {
        ItemKind::Instance(interface) => {
            types[*interface].exports.values().any(|kind| matches!(kind, ItemKind::Func(_)))
        }
        _ => true,
    };
    let imports = types[package.ty()].imports.iter().filter(|(_, kind)| has_functions(kind));
    let mut names = imports.map(|(name, _)| name.split('@').next().unwrap().to_owned()).collect::<Vec<_>>();
    names.sort_unstable();
    names
}

#[test]
fn an_application_of_wasi_0_3_gets_the_session_component_of_wasi_0_3() {
    let composed = compose(&application(ASYNC, str::to_owned)).unwrap();
    let names = functions_of(&composed);
    assert_eq!(names[..2], ["lemon:session/settings", "lemon:session/storage-async"]);
    assert!(names[2..].iter().all(|name| name.starts_with("wasi:")), "{names:?}");
    assert!(imports_sessions(&application(ASYNC, str::to_owned)).unwrap());

    let both = compose(&application(&format!("{ASYNC} {SESSIONS}"), str::to_owned)).unwrap();
    let names = functions_of(&both);
    assert_eq!(names[..3], ["lemon:session/settings", "lemon:session/storage", "lemon:session/storage-async"]);

    let altered = |text: &str| text.replace("created: func() -> bool", "created: func() -> u32");
    let error = compose(&application(ASYNC, altered)).unwrap_err();
    assert!(matches!(&error, Error::OtherVersion { import, .. } if import.contains("sessions-async")), "{error}");
}

#[test]
fn the_session_component_of_wasi_0_3_is_joined_with_a_provider_that_blocks_and_with_one_that_does_not() {
    let app = compose(&application(ASYNC, str::to_owned)).unwrap();
    for component in [&app, ASYNC_COMPONENT] {
        for world in [PROVIDER, ASYNC_PROVIDER] {
            let joined = plug_in_provider(component, &application(world, str::to_owned)).unwrap();
            let names = functions_of(&joined);
            assert!(names.iter().all(|name| name.starts_with("wasi:")), "{names:?}");
            assert_eq!(interfaces(&joined).unwrap().1, interfaces(component).unwrap().1);
        }
    }
    let error = plug_in_provider(COMPONENT, &application(ASYNC_PROVIDER, str::to_owned)).unwrap_err();
    assert!(matches!(&error, Error::NotAProvider { missing, .. } if missing == "lemon:session/storage"), "{error}");
}

#[test]
fn what_is_no_provider_is_told_what_it_lacks() {
    for (world, lacks, has) in
        [(STORAGE, "lemon:session/settings", "lemon:session/storage@0.1.0"), (BOTH, "lemon:session/storage", "run")]
    {
        let error = plug_in_provider(COMPONENT, &application(world, str::to_owned)).unwrap_err();
        assert!(
            matches!(&error, Error::NotAProvider { missing, exports } if missing == lacks && exports.contains(has))
        );
    }
}

#[test]
fn import_that_stays_unplugged_is_named() {
    let plugged = |world: &str, change: &dyn Fn(&str) -> String| {
        let app = compose(&application(&format!("{SESSIONS} {world}"), str::to_owned)).unwrap();
        match plug_in_provider(&app, &application(PROVIDER, change)) {
            Err(Error::Unplugged(imports)) => imports,
            other => panic!("{other:?}"),
        }
    };
    let same = |text: &str| text.to_owned();
    let imports = plugged("import extra: interface { f: func(); } import wasi:random/random@0.2.0;", &same);
    assert_eq!(imports, "extra");
    let newer = |text: &str| text.replace("0.1.0", "0.2.0");
    assert_eq!(plugged("", &newer), "lemon:session/settings@0.1.0 and lemon:session/storage@0.1.0");
    let altered = |text: &str| text.replace("-> result<u32, failure>", "-> result<u64, failure>");
    assert_eq!(plugged("", &altered), "lemon:session/storage@0.1.0");
}

#[test]
fn core_modules_are_called_so() {
    let module = b"\0asm\x01\0\0\0";
    for error in [compose(module), plug_in_provider(COMPONENT, module), plug_in_provider(module, COMPONENT)] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("core module") && error.contains("wasm32-wasip2"), "{error}");
    }
}
