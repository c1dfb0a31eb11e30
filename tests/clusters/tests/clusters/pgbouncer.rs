//! PgBouncer in transaction mode, in front of PostgreSQL: each transaction gets another connection of the server.

use std::{fs, sync::Arc, thread::sleep, time::Duration};

use lemon_session_store::Store;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    faults::{Cluster, Expects, Fault, alone, inject, open},
    pair::WithStandby as _,
    postgres::{Postgres, USER},
    process::{Process, demoted, find, folder_of, free_port, parent},
};

struct PgBouncer {
    runtime: Handle,
    server: Postgres,
    pooler: Process,
    _folder: TempDir,
}

impl PgBouncer {
    fn start(runtime: &Handle) -> Option<Self> {
        let [pgbouncer] = find(["pgbouncer"], "pgbouncer")?;
        let server = Postgres::start(runtime)?;
        let parent = parent("lemon-session-pgbouncer-");
        let (port, folder) = (free_port(), folder_of(USER, parent.path(), "pooler"));
        let configuration = folder.join("pgbouncer.ini");
        // Fewer connections than the hosts have.
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=owner pool_size=3\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\nserver_login_retry = 1\n",
            server.pair.nodes[server.pair.primary].server.port
        );
        fs::write(&configuration, text).expect("the folder is ours");
        let program = demoted(USER, &[&pgbouncer, &configuration.display().to_string()]);
        let mut pooler = Process::new(port, folder, program);
        pooler.start();
        Some(Self { runtime: runtime.clone(), server, pooler, _folder: parent })
    }
}

impl Cluster for PgBouncer {
    fn name(&self) -> String {
        "PostgreSQL through PgBouncer".to_owned()
    }

    fn stores(&self) -> [Arc<dyn Store>; 2] {
        let options = "prepare=no&pool-size=4&timeout=2&connect-timeout=1";
        [0, 1].map(|_| {
            open(&self.runtime, &format!("postgres://owner@127.0.0.1:{}/postgres?{options}", self.pooler.port))
        })
    }
}

const FAULTS: [Fault<PgBouncer>; 2] = [
    Fault {
        name: "pooler killed and started again",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            cluster.pooler.kill();
            sleep(Duration::from_secs(1));
            cluster.pooler.start();
        },
        expects: Expects::Nothing,
        short: true,
    },
    Fault {
        name: "server killed and started again",
        happens: |cluster| {
            sleep(Duration::from_secs(1));
            let server = &mut cluster.server;
            server.pair.primary().server.kill();
            server.pair.primary().server.start();
            server.wait_for_answer();
            server.is_followed();
        },
        expects: Expects::Nothing,
        short: true,
    },
];

#[test]
fn postgres_through_pgbouncer_keeps_what_was_acknowledged() {
    alone(|runtime| {
        if let Some(mut cluster) = PgBouncer::start(runtime) {
            inject(runtime, &mut cluster, &FAULTS);
        }
    });
}
