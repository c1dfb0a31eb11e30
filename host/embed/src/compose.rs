//! Joins an application component with the session component, and both with a provider.

use wac_graph::{CompositionGraph, EncodeOptions, PackageId, PlugError, plug, types::Package};

use crate::COMPONENT;

/// The interfaces of this package that an application may import.
const FOR_APPLICATIONS: [&str; 2] = ["lemon:session/sessions@", "lemon:session/manager@"];
/// Reserved for the session component: a guest that imports these could read every session.
const FOR_THE_SESSION_COMPONENT: [&str; 2] = ["lemon:session/storage@", "lemon:session/settings@"];
/// What every host has; the interface of this package has types alone.
const OF_EVERY_HOST: [&str; 2] = ["wasi:", "lemon:session/types@"];
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
        "the application imports neither lemon:session/sessions nor lemon:session/manager: it does not use sessions"
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
    /// A component for WASI 0.3, which cannot be joined with a provider yet.
    #[error("a component for WASI 0.3, as it has {0}: components of WASI 0.2 can be joined with a provider")]
    OtherWasi(String),
    /// The joined component could not be written.
    #[error("cannot be joined with the session component: {0}")]
    Failed(String),
}

/// Whether an application imports `lemon:session/sessions` or `lemon:session/manager`, in any version.
///
/// # Errors
///
/// Fails with [`Error::NotAComponent`], and with [`Error::Forbidden`] for an application that must not run where
/// `lemon:session/storage` is in the linker.
pub fn imports_sessions(app: &[u8]) -> Result<bool, Error> {
    let mut graph = CompositionGraph::new();
    let app = read(&mut graph, "app", app)?;
    uses_sessions(&graph, app)
}

/// Joins an application that imports `lemon:session/sessions` or `lemon:session/manager` with the session component.
///
/// The result is one component with the application's exports. It imports `lemon:session/storage` and
/// `lemon:session/settings` instead of the interfaces of sessions.
///
/// # Errors
///
/// Fails when the application does not use sessions, or was built against another version of the interface: see
/// [`Error`].
pub fn compose(app: &[u8]) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    let app = read(&mut graph, "app", app)?;
    if !uses_sessions(&graph, app)? {
        return Err(Error::NoSessions);
    }
    let sessions = read(&mut graph, "lemon:session", COMPONENT)?;
    match plug(&mut graph, vec![sessions], app) {
        // `plug` skips an import of another version: it is still there afterwards and is reported below.
        Ok(()) | Err(PlugError::NoPlugHappened) => {}
        Err(PlugError::GraphError { source }) => return Err(Error::Failed(format!("{source:#}"))),
    }
    if let Some((import, ..)) = graph.imports().find(|(import, ..)| is_one_of(import, &FOR_APPLICATIONS)) {
        return Err(Error::OtherVersion { import: import.to_owned(), offered: offered(&graph, sessions) });
    }
    encode(&graph)
}

/// Joins the session component, or an application that [`compose`] joined with it, with a provider: a component that exports
/// `lemon:session/storage` and `lemon:session/settings`.
///
/// The result has the same exports and imports `wasi:*` alone, and the types of this package, so that any host can run it.
///
/// # Errors
///
/// Fails when the provider lacks one of the two interfaces, and when another import would stay: see [`Error`].
pub fn plug_in_provider(component: &[u8], provider: &[u8]) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    let component = read(&mut graph, "component", component)?;
    let provider = read(&mut graph, "provider", provider)?;
    check_provider(&graph, provider)?;
    for package in [component, provider] {
        refuse_other_wasi(&graph, package)?;
    }
    match plug(&mut graph, vec![provider], component) {
        // What is not plugged is reported below.
        Ok(()) | Err(PlugError::NoPlugHappened) => {}
        Err(PlugError::GraphError { source }) => return Err(Error::Failed(format!("{source:#}"))),
    }
    let imports = graph.imports().map(|(import, ..)| import);
    let mut unplugged: Vec<_> = imports.filter(|import| !is_one_of(import, &OF_EVERY_HOST)).collect();
    unplugged.sort_unstable();
    unplugged.dedup();
    if !unplugged.is_empty() {
        return Err(Error::Unplugged(unplugged.join(" and ")));
    }
    encode(&graph)
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

fn check_provider(graph: &CompositionGraph, provider: PackageId) -> Result<(), Error> {
    let exports = &graph.types()[graph[provider].ty()].exports;
    for interface in FOR_THE_SESSION_COMPONENT {
        if !exports.keys().any(|export| export.starts_with(interface)) {
            let exports = match offered(graph, provider) {
                exports if exports.is_empty() => "nothing".to_owned(),
                exports => exports,
            };
            return Err(Error::NotAProvider { missing: interface.trim_end_matches('@').to_owned(), exports });
        }
    }
    Ok(())
}

fn refuse_other_wasi(graph: &CompositionGraph, package: PackageId) -> Result<(), Error> {
    let world = &graph.types()[graph[package].ty()];
    let mut interfaces = world.imports.keys().chain(world.exports.keys());
    match interfaces.find(|interface| interface.starts_with("wasi:") && interface.contains("@0.3.")) {
        Some(interface) => Err(Error::OtherWasi(interface.clone())),
        None => Ok(()),
    }
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
    let not_a_component = |error: anyhow::Error| Error::NotAComponent(format!("{error:#}"));
    let package = Package::from_bytes(name, None, bytes, graph.types_mut()).map_err(not_a_component)?;
    graph.register_package(package).map_err(|error| Error::Failed(error.to_string()))
}

fn uses_sessions(graph: &CompositionGraph, app: PackageId) -> Result<bool, Error> {
    let imports = &graph.types()[graph[app].ty()].imports;
    if let Some(import) = imports.keys().find(|import| is_one_of(import, &FOR_THE_SESSION_COMPONENT)) {
        return Err(Error::Forbidden(import.clone()));
    }
    Ok(imports.keys().any(|import| is_one_of(import, &FOR_APPLICATIONS)))
}

fn is_one_of(import: &str, interfaces: &[&str]) -> bool {
    interfaces.iter().any(|interface| import.starts_with(interface))
}

fn offered(graph: &CompositionGraph, package: PackageId) -> String {
    let exports = graph.types()[graph[package].ty()].exports.keys();
    exports.map(String::as_str).collect::<Vec<_>>().join(" and ")
}
