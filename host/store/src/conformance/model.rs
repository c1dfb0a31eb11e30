//! Random sequences of operations, against a model that keeps the contract in the plainest way.

mod answer;
mod operation;
mod reference;

use proptest::{
    collection::vec,
    prop_assert,
    test_runner::{Config, TestCaseError, TestRunner},
};

use self::{
    operation::{Operation, operation},
    reference::Model,
};
use super::{Outcome, Subject, executor};
use crate::LoadOutcome;

pub async fn any_sequence_of_operations_answers_as_the_model(store: &Subject) -> Result<(), Outcome> {
    if store.schema().is_err() {
        // What is emptied between two sequences without tables is emptied by a cleanup.
        store.removes_by_cleanup()?;
    }
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 100;
    }
    // The runner is not asynchronous.
    let kept = TestRunner::new(config)
        .run(&vec(operation(), 1..60), |operations| executor::wait_for(follow(store, &operations)));
    if let Err(broken) = kept {
        panic!("the store does not answer as the contract's model: {broken}");
    }
    Ok(())
}

/// Empties the store after the last sequence.
async fn empty(store: &Subject) {
    match store.driver.schema() {
        Some(schema) => {
            schema.drop_tables().await.expect("drop_tables");
            schema.create_tables().await.expect("create_tables");
        }
        // By then everything has expired.
        None => drop(store.driver.cleanup(u64::MAX, u32::MAX).await.expect("cleanup")),
    }
}

async fn follow(store: &Subject, operations: &[Operation]) -> Result<(), TestCaseError> {
    empty(store).await;
    let mut model = Model::new(store.now, !store.expires_by_itself);
    let possible: Vec<_> = operations.iter().filter(|operation| operation.is_possible(&*store.driver)).collect();
    for (number, operation) in possible.iter().enumerate() {
        let handle = store.handle(number);
        let answer = operation.run(&*handle, model.now, model.version_of(operation)).await;
        let expected = model.run(operation);
        if let Operation::DestroyOwned { owner, .. } = operation {
            for key in model.expired_of(*owner) {
                if handle.load(&key, "", model.now, 0).await.expect("load") == LoadOutcome::Absent {
                    model.remove(key);
                }
            }
        }
        prop_assert!(
            answer.fits(&expected),
            "operation {number} of {possible:#?} answers {answer:?}, not {expected:?}"
        );
    }
    Ok(())
}
