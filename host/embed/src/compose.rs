//! Joins an application component with the session component, and both with a provider.

use wac_graph::{
    CompositionGraph, EncodeOptions, PackageId, PlugError, plug,
    types::{ItemKind, Package, Types},
};

use crate::{ASYNC_COMPONENT, BLOCKING, COMPONENT};

/// The interfaces of this package that an application of WASI 0.2 may import.
const FOR_APPLICATIONS: [&str; 2] = ["lemon:session/sessions@", "lemon:session/manager@"];
/// The interfaces of this package that an application of WASI 0.3 may import as well.
const FOR_ASYNC_APPLICATIONS: [&str; 2] = ["lemon:session/sessions-async@", "lemon:session/manager-async@"];
/// Reserved for the session component: a guest that imports these could read every session.
const FOR_THE_SESSION_COMPONENT: [&str; 3] = ["lemon:session/storage@", ASYNC_STORAGE, "lemon:session/settings@"];
const ASYNC_STORAGE: &str = "lemon:session/storage-async@";
/// What every host has.
const OF_EVERY_HOST: [&str; 1] = ["wasi:"];
/// How WebAssembly begins.
const WASM: &[u8] = b"\0asm";
/// How a core module begins, in contrast to a component.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Why an application cannot be joined with the session component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a component.
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// The application does not use sessions.
    #[error(
        "the application imports neither lemon:session/sessions nor lemon:session/manager, nor their twins for WASI 0.3: it does \
         not use sessions"
    )]
    NoSessions,
    /// The application was built against another version of the interface, or an altered one.
    #[error(
        "the application imports {import}; this session component has {offered}: build the application against its WIT"
    )]
    OtherVersion {
        /// What the application imports.
        import: String,
        /// What the session component exports.
        offered: String,
    },
    /// The application imports an interface with which it could read every visitor's session.
    #[error(
        "the application imports {0}, which only the session component may import; an application imports lemon:session/sessions"
    )]
    Forbidden(String),
    /// The application shares sessions with a module that it was not joined with.
    #[error(
        "the application imports {0}, and shares sessions with whatever exports it: join it with that module first (`--with \
         MODULE.wasm`)"
    )]
    NeedsModule(String),
    /// The module exports nothing that the application imports.
    #[error("the application imports none of the interfaces that the module exports: {0}")]
    Unused(String),
    /// The component cannot be the store of the session component.
    #[error(
        "not a provider: it does not export {missing}; a provider exports lemon:session/storage and lemon:session/settings, \
         and this component exports {exports}"
    )]
    NotAProvider {
        /// The interface that is missing.
        missing: String,
        /// What the component exports.
        exports: String,
    },
    /// Imports that neither the session component nor the provider has, and that not every host has.
    #[error(
        "{0} stays unplugged: neither the session component nor the provider exports it in the version and with the types \
         that are imported; join the application with the component that does, or leave the import out"
    )]
    Unplugged(String),
    /// The joined component could not be written.
    #[error("cannot be joined with the session component: {0}")]
    Failed(String),
}

/// Whether an application imports `lemon:session/sessions` or `lemon:session/manager`, or their twins for WASI 0.3, in any version.
///
/// # Errors
///
/// Fails with [`Error::NotAComponent`], and with [`Error::Forbidden`] for an application that must not run where
/// `lemon:session/storage` is in the linker.
pub fn imports_sessions(app: &[u8]) -> Result<bool, Error> {
    let mut graph = CompositionGraph::new();
    let app = read(&mut graph, "app", app)?;
    Ok(!session_components(&graph, app)?.is_empty())
}

/// Joins an application that imports `lemon:session/sessions` or `lemon:session/manager` with the session component, and one that
/// imports `lemon:session/sessions-async` or `lemon:session/manager-async` with that of WASI 0.3.
///
/// The result is one component with the application's exports. It imports `lemon:session/storage` or
/// `lemon:session/storage-async`, and `lemon:session/settings`, instead of the interfaces of sessions.
///
/// # Errors
///
/// Fails when the application does not use sessions, or was built against another version of the interface: see
/// [`Error`].
pub fn compose(app: &[u8]) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    let app = read(&mut graph, "app", app)?;
    let components = session_components(&graph, app)?;
    if components.is_empty() {
        return Err(Error::NoSessions);
    }
    let components = components.into_iter().map(|(name, component)| read(&mut graph, name, component));
    let components = components.collect::<Result<Vec<_>, _>>()?;
    match plug(&mut graph, components.clone(), app) {
        // `plug` skips an import of another version: it is still there afterwards and is reported below.
        Ok(()) | Err(PlugError::NoPlugHappened) => {}
        Err(PlugError::GraphError { source }) => return Err(Error::Failed(format!("{source:#}"))),
    }
    let of_sessions = [FOR_APPLICATIONS, FOR_ASYNC_APPLICATIONS].concat();
    let left = unplugged(&graph);
    if let Some(import) = left.iter().find(|import| is_one_of(import, &of_sessions)) {
        let offered = components.iter().map(|component| offered(&graph, *component)).collect::<Vec<_>>().join(" and ");
        return Err(Error::OtherVersion { import: (*import).to_owned(), offered });
    }
    encode(&graph).map_err(|error| {
        let is_of_module = |import: &&str| !is_one_of(import, &["wasi:", "lemon:session/"]);
        let of_modules: Vec<_> = left.into_iter().filter(is_of_module).collect();
        // Such an interface refers to the sessions of the component that takes their place, which the graph cannot express.
        if of_modules.is_empty() { error } else { Error::NeedsModule(of_modules.join(" and ")) }
    })
}

/// The session components that an application needs: their names and their bytes.
fn session_components(graph: &CompositionGraph, app: PackageId) -> Result<Vec<(&'static str, &'static [u8])>, Error> {
    if let Some(import) = imports_one_of(graph, app, &FOR_THE_SESSION_COMPONENT) {
        return Err(Error::Forbidden(import.to_owned()));
    }
    let kinds = [
        (FOR_APPLICATIONS, ("lemon:session", COMPONENT)),
        (FOR_ASYNC_APPLICATIONS, ("lemon:session-async", ASYNC_COMPONENT)),
    ];
    let needed = kinds.into_iter().filter(|(interfaces, _)| imports_one_of(graph, app, interfaces).is_some());
    Ok(needed.map(|(_, component)| component).collect())
}

/// Joins the session component, or an application that [`compose`] joined with it, with a provider: a component that exports
/// `lemon:session/storage` and `lemon:session/settings`.
///
/// The session component of WASI 0.3 can await a provider that exports `lemon:session/storage-async`. Any other provider blocks:
/// while one call waits for the store, all requests of the instance do.
///
/// The result has the same exports and imports `wasi:*` alone, and the types of this package, so that any host can run it.
///
/// # Errors
///
/// Fails when the provider lacks one of the two interfaces, and when another import would stay: see [`Error`].
pub fn plug_in_provider(component: &[u8], provider: &[u8]) -> Result<Vec<u8>, Error> {
    let component = match awaits_storage(component)? && !offers_async_storage(provider)? {
        true => &plug_in(component, BLOCKING)?,
        false => component,
    };
    let mut graph = CompositionGraph::new();
    let component = read(&mut graph, "component", component)?;
    let provider = read(&mut graph, "provider", provider)?;
    check_provider(&graph, component, provider)?;
    match plug(&mut graph, vec![provider], component) {
        // What is not plugged is reported below.
        Ok(()) | Err(PlugError::NoPlugHappened) => {}
        Err(PlugError::GraphError { source }) => return Err(Error::Failed(format!("{source:#}"))),
    }
    let left: Vec<_> = unplugged(&graph).into_iter().filter(|import| !is_one_of(import, &OF_EVERY_HOST)).collect();
    if !left.is_empty() {
        return Err(Error::Unplugged(left.join(" and ")));
    }
    encode(&graph)
}

/// The imports that are left, sorted. Those of types alone do not count: every host has them.
fn unplugged(graph: &CompositionGraph) -> Vec<&str> {
    let mut left: Vec<_> =
        graph.imports().filter(|(_, kind, _)| has_functions(graph.types(), kind)).map(|(import, ..)| import).collect();
    left.sort_unstable();
    left.dedup();
    left
}

/// What a component imports and exports, sorted: what a runtime has to offer, and what it can call.
///
/// # Errors
///
/// Fails with [`Error::NotAComponent`].
pub fn interfaces(component: &[u8]) -> Result<(Vec<String>, Vec<String>), Error> {
    let mut graph = CompositionGraph::new();
    let component = read(&mut graph, "component", component)?;
    let world = &graph.types()[graph[component].ty()];
    let (mut imports, mut exports): (Vec<_>, Vec<_>) =
        (world.imports.keys().cloned().collect(), world.exports.keys().cloned().collect());
    imports.sort_unstable();
    exports.sort_unstable();
    Ok((imports, exports))
}

/// Whether a component imports the functions of `lemon:session/storage-async`.
fn awaits_storage(component: &[u8]) -> Result<bool, Error> {
    let mut graph = CompositionGraph::new();
    let component = read(&mut graph, "component", component)?;
    Ok(imports_one_of(&graph, component, &[ASYNC_STORAGE]).is_some())
}

fn offers_async_storage(provider: &[u8]) -> Result<bool, Error> {
    let mut graph = CompositionGraph::new();
    let provider = read(&mut graph, "provider", provider)?;
    let exports = &graph.types()[graph[provider].ty()].exports;
    Ok(exports.keys().any(|export| export.starts_with(ASYNC_STORAGE)))
}

/// A provider has to export what the component imports of it, in any version.
fn check_provider(graph: &CompositionGraph, component: PackageId, provider: PackageId) -> Result<(), Error> {
    let exports = &graph.types()[graph[provider].ty()].exports;
    for interface in FOR_THE_SESSION_COMPONENT {
        let is_needed = imports_one_of(graph, component, &[interface]).is_some();
        if is_needed && !exports.keys().any(|export| export.starts_with(interface)) {
            let exports = match offered(graph, provider) {
                exports if exports.is_empty() => "nothing".to_owned(),
                exports => exports,
            };
            return Err(Error::NotAProvider { missing: interface.trim_end_matches('@').to_owned(), exports });
        }
    }
    Ok(())
}

/// Joins an application with a module, which is a component that exports interfaces the application imports.
///
/// A module built on sessions also imports `lemon:session/sessions`. The result imports it once for both, so the
/// application can pass its sessions to the module. Pass the result to [`compose`].
///
/// # Errors
///
/// Fails when the application imports nothing that the module exports: see [`Error`].
pub fn plug_in(app: &[u8], module: &[u8]) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    let app = read(&mut graph, "app", app)?;
    let module = read(&mut graph, "module", module)?;
    match plug(&mut graph, vec![module], app) {
        Ok(()) => encode(&graph),
        Err(PlugError::NoPlugHappened) => Err(Error::Unused(offered(&graph, module))),
        Err(PlugError::GraphError { source }) => Err(Error::Failed(format!("{source:#}"))),
    }
}

fn encode(graph: &CompositionGraph) -> Result<Vec<u8>, Error> {
    graph.encode(EncodeOptions::default()).map_err(|error| Error::Failed(format!("{:#}", anyhow::Error::new(error))))
}

fn read(graph: &mut CompositionGraph, name: &str, bytes: &[u8]) -> Result<PackageId, Error> {
    if bytes.starts_with(CORE_MODULE) {
        return Err(Error::NotAComponent(
            "it is a core module; build it for a target that makes components, such as wasm32-wasip2, or make one of it with \
             `wasm-tools component new`"
                .to_owned(),
        ));
    }
    if !bytes.starts_with(WASM) {
        return Err(Error::NotAComponent("it is not WebAssembly at all".to_owned()));
    }
    let not_a_component = |error: anyhow::Error| Error::NotAComponent(format!("{error:#}"));
    let package = Package::from_bytes(name, None, bytes, graph.types_mut()).map_err(not_a_component)?;
    graph.register_package(package).map_err(|error| Error::Failed(error.to_string()))
}

/// One of these interfaces of which a component imports functions, not types alone.
fn imports_one_of<'a>(graph: &'a CompositionGraph, component: PackageId, interfaces: &[&str]) -> Option<&'a str> {
    let types = graph.types();
    let mut imports = types[graph[component].ty()].imports.iter();
    let import = imports.find(|(name, kind)| is_one_of(name, interfaces) && has_functions(types, kind));
    import.map(|(name, _)| name.as_str())
}

fn has_functions(types: &Types, kind: &ItemKind) -> bool {
    match kind {
        ItemKind::Instance(interface) => {
            types[*interface].exports.values().any(|kind| !matches!(kind, ItemKind::Type(_)))
        }
        _ => true,
    }
}

fn is_one_of(import: &str, interfaces: &[&str]) -> bool {
    interfaces.iter().any(|interface| import.starts_with(interface))
}

fn offered(graph: &CompositionGraph, package: PackageId) -> String {
    let exports = graph.types()[graph[package].ty()].exports.keys();
    exports.map(String::as_str).collect::<Vec<_>>().join(" and ")
}
