//! A connection, and statements on it that are prepared or not.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{
    Error, Row, Statement,
    types::{ToSql, Type},
};

/// What calls use of a connection.
pub struct Client {
    pub connection: ClientWrapper,
    /// None if statements are prepared.
    pub types: Option<Types>,
}

/// The types of parameters, by the text of the statement. All connections share them.
pub type Types = Arc<Mutex<HashMap<String, Arc<[Type]>>>>;

/// A statement that can be run.
pub enum Prepared {
    /// The server knows it by a name.
    Named(Statement),
    /// It is sent as text, in the same message as its parameters: the next one may reach another connection of the server.
    Unnamed(String, Arc<[Type]>),
}

impl Client {
    /// Prepares a statement, once for this connection. Without prepared statements, asks once for the types of its parameters.
    pub async fn prepare_cached(&self, sql: &str) -> Result<Prepared, Error> {
        let Some(types) = &self.types else { return self.connection.prepare_cached(sql).await.map(Prepared::Named) };
        let known = || types.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(types) = known().get(sql) {
            return Ok(Prepared::Unnamed(sql.to_owned(), Arc::clone(types)));
        }
        // In a transaction all messages reach one connection, and the name is forgotten there again.
        self.batch_execute("BEGIN").await?;
        let statement = self.prepare(sql).await?;
        let types: Arc<[Type]> = statement.params().into();
        drop(statement);
        self.batch_execute("COMMIT").await?;
        known().insert(sql.to_owned(), Arc::clone(&types));
        Ok(Prepared::Unnamed(sql.to_owned(), types))
    }

    pub async fn query(&self, statement: &Prepared, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        match statement {
            Prepared::Named(statement) => self.connection.query(statement, values).await,
            Prepared::Unnamed(sql, types) => self.connection.query_typed(sql, &typed(values, types)).await,
        }
    }

    pub async fn query_opt(&self, statement: &Prepared, values: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error> {
        match statement {
            Prepared::Named(statement) => self.connection.query_opt(statement, values).await,
            Prepared::Unnamed(sql, types) => self.connection.query_typed_opt(sql, &typed(values, types)).await,
        }
    }

    pub async fn query_one(&self, statement: &Prepared, values: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        match statement {
            Prepared::Named(statement) => self.connection.query_one(statement, values).await,
            Prepared::Unnamed(sql, types) => self.connection.query_typed_one(sql, &typed(values, types)).await,
        }
    }

    pub async fn execute(&self, statement: &Prepared, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        self.query(statement, values).await.map(drop)
    }
}

fn typed<'a>(values: &[&'a (dyn ToSql + Sync)], types: &[Type]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().copied().zip(types.iter().cloned()).collect()
}

impl Deref for Client {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &tokio_postgres::Client {
        &self.connection
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut tokio_postgres::Client {
        &mut self.connection
    }
}
