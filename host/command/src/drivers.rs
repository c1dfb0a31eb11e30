//! The drivers that a storage URL can name.

use lemon_session_host::store::Registry;

/// `memory:`, `sqlite:`, `files:`, and the drivers that this crate's features select.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    let drivers = [
        &lemon_session_sqlite::SCHEMES[..],
        &lemon_session_files::SCHEMES,
        #[cfg(feature = "component")]
        &lemon_session_component_driver::SCHEMES,
        #[cfg(feature = "mysql")]
        &lemon_session_mysql::SCHEMES,
        #[cfg(feature = "postgres")]
        &lemon_session_postgres::SCHEMES,
        #[cfg(feature = "redis")]
        &lemon_session_redis::SCHEMES,
    ];
    for schemes in drivers {
        registry.register(schemes).expect("the drivers have different schemes");
    }
    registry
}
