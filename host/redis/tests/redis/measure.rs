//! The speed of the drivers: `cargo test --release --test redis -- --ignored --nocapture measure`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use lemon_session_store::{Digest, LoadOutcome, Store, UpdateOutcome};

use crate::{
    TRANSPORTS, create, created, created_over, load, now, own_table, put, record, shared_cluster, shared_server,
    writing,
};

const SESSIONS: u64 = 10_000;
const FOR: Duration = Duration::from_secs(3);

fn key(n: u64) -> Digest {
    Digest::of(&(n % SESSIONS).to_string())
}

/// The processor time that this process has used, by the system's clock ticks, of which there are 100 a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the state of this process");
    let fields: Vec<_> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// What one caller gets over each way to reach a single server.
#[test]
#[ignore = "a measurement"]
fn measure_one_caller() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(url) = runtime.block_on(shared_server()) else { return };
    for (name, open) in ["asynchronous client", "blocking socket"].into_iter().zip(TRANSPORTS) {
        let driver = runtime.block_on(created_over(open, &url, &own_table()));
        let writes: Vec<_> = (0..5).map(|name| put(&format!("variable {name}"), &[7; 100])).collect();
        runtime.block_on(create(&*driver, &key(0), &record(), &writes));
        let (started, used, mut calls) = (Instant::now(), processor_time(), 0_u32);
        runtime.block_on(async {
            while started.elapsed() < FOR {
                assert!(matches!(load(&*driver, &key(0)).await, LoadOutcome::Found(_)));
                let save = writing([put("variable 3", &[calls as u8; 100])]);
                driver.update(&key(0), &save, None, now()).await.expect("update");
                calls += 2;
            }
        });
        let (wall, used) = (started.elapsed(), processor_time() - used);
        println!(
            "{name}: {:.0} calls/s, {:?} of processor time a call",
            f64::from(calls) / wall.as_secs_f64(),
            used / calls
        );
        runtime.block_on(driver.try_schema().expect("schema").drop_tables()).expect("drop_tables");
    }
}

/// Calls per second of concurrent tasks, each of which makes one call after the other.
async fn rate<T>(tasks: u64, driver: &Arc<dyn Store>, call: fn(Arc<dyn Store>, u64) -> T) -> f64
where
    T: Future<Output = ()> + Send + 'static,
{
    let (done, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (done, driver) = (Arc::clone(&done), Arc::clone(driver));
            tokio::spawn(async move {
                let mut n = task * 7919;
                while started.elapsed() < FOR {
                    n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    call(Arc::clone(&driver), n >> 33).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("a task ends");
    }
    done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_loads_and_saves() {
    for url in [shared_server().await, shared_cluster().map(|cluster| cluster.url())].into_iter().flatten() {
        let driver = created(&url, &own_table()).await;
        for n in 0..SESSIONS {
            let writes: Vec<_> = (0..5).map(|name| put(&format!("variable {name}"), &[7; 100])).collect();
            create(&*driver, &key(n), &record(), &writes).await;
        }
        println!("{}, {SESSIONS} sessions of 5 variables of 100 bytes", driver.summary());
        for tasks in [1, 8, 64] {
            let loads = rate(tasks, &driver, |driver, n| async move {
                assert!(matches!(load(&*driver, &key(n)).await, LoadOutcome::Found(_)));
            })
            .await;
            let saves = rate(tasks, &driver, |driver, n| async move {
                let save = writing([put("variable 3", &[n as u8; 100])]);
                let answer = driver.update(&key(n), &save, None, now()).await.expect("update");
                assert!(matches!(answer, UpdateOutcome::Committed(_)));
            })
            .await;
            println!("{tasks:>3} tasks: {loads:>8.0} loads/s {saves:>8.0} saves/s");
        }
        driver.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
    }
}
