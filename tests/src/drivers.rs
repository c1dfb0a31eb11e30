use lemon_session_host::store::Registry;

/// The registry of all drivers of this project.
pub fn drivers() -> Registry {
    let mut registry = Registry::new();
    for schemes in [
        &lemon_session_sqlite::SCHEMES[..],
        &lemon_session_files::SCHEMES,
        &lemon_session_component_driver::SCHEMES,
        &lemon_session_mysql::SCHEMES,
        &lemon_session_postgres::SCHEMES,
        &lemon_session_redis::SCHEMES,
    ] {
        registry.register(schemes).expect("the drivers have different schemes");
    }
    registry
}
