//! What files promise beyond the contract of every driver: other processes, the end of a process, damaged files.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use lemon_session_files::Files;
use lemon_session_store::{
    Change, CreateOutcome, DestroyCondition, Digest, Grace, LoadOutcome, Record, Rotation, StorageOptions, Store,
    Stored, TableName, UpdateOutcome, Write, Writes,
    conformance::{CALLS, failures},
};
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;
const NONE: [PathBuf; 0] = [];
const RECORD: Record = Record {
    created: NOW,
    accessed: NOW,
    expires: NOW + 1440,
    absolute_expiry: None,
    rotated: NOW,
    owner: None,
    version: 0,
    size: 0,
};

async fn open_table(directory: &Path, table: &str) -> Arc<dyn Store> {
    let options = StorageOptions {
        table: TableName::new(table).expect("a table's name"),
        ..StorageOptions::new(format!("files:{}", directory.display()))
    };
    Files::open(options).await.expect("the store opens")
}

async fn open(directory: &Path) -> Arc<dyn Store> {
    open_table(directory, "Session").await
}

/// A new directory with the tables in it, and the store on it.
async fn created() -> (TempDir, PathBuf, Arc<dyn Store>) {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("sessions");
    let store = open(&directory).await;
    store.set_up().await.expect("create_tables");
    (folder, directory, store)
}

fn put(name: &str, value: &[u8]) -> Write {
    Write { app: "shop".to_owned(), name: name.to_owned(), value: Some(value.to_owned()) }
}

fn writing(writes: impl Into<Writes>) -> Change {
    Change { writes: writes.into(), max_size: u64::MAX, ..Change::default() }
}

async fn create(store: &dyn Store, digest: &Digest, record: &Record, writes: impl Into<Writes>) {
    let created = store.create(digest, record, &writes.into()).await.expect("create");
    assert_eq!(created, CreateOutcome::Created);
}

/// The names and values of a live session's variables, with its version.
async fn variables(store: &dyn Store, digest: &Digest, now: u64) -> Option<(u64, Vec<(String, Vec<u8>)>)> {
    let LoadOutcome::Found(loaded) = store.load(digest, "shop", now, u32::MAX).await.expect("load") else {
        return None;
    };
    let variables = loaded.variables.into_iter().map(|variable| match variable.value {
        Stored::Inline(value) => (variable.name, value),
        Stored::Large(bytes) => panic!("{bytes} bytes are less than was asked for"),
    });
    Some((loaded.record.version, variables.collect()))
}

/// All files below a directory, and the empty directories.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let before = found.len();
        if path.is_dir() {
            found.extend(files(&path));
        }
        if found.len() == before {
            found.push(path);
        }
    }
    found
}

/// What is left in the directories of a table, beside the empty ones that stay: those of it, sessions/3f and owners/3f.
fn left_in(directory: &Path) -> Vec<PathBuf> {
    let table = directory.join("Session/v1");
    let mut left = files(&table);
    left.retain(|path| {
        let path = path.strip_prefix(&table).expect("below it");
        let stay = if path.starts_with("sessions") || path.starts_with("owners") { 2 } else { 1 };
        path.components().count() > stay
    });
    left
}

/// The file with the data of the only session.
fn data(directory: &Path) -> PathBuf {
    let mut data = files(&directory.join("Session/v1/sessions"));
    data.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("d-")));
    assert_eq!(data.len(), 1, "{data:?}");
    data.remove(0)
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let (_folder, directory, store) = created().await;
    create(&*store, &Digest::of("a"), &Record { owner: Some("Ada".to_owned()), ..RECORD }, [put("x", b"1")]).await;
    store.update(&Digest::of("a"), &writing([put("x", b"2")]), None, NOW).await.expect("update");
    let mut paths = files(&directory);
    assert!(paths.len() > 4, "{paths:?}");
    for path in paths.clone() {
        paths.extend(path.ancestors().skip(1).take_while(|path| path.starts_with(&directory)).map(Path::to_owned));
    }
    for path in paths {
        let mode = fs::metadata(&path).expect("its mode").permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        let shown = path.strip_prefix(&directory).expect("below it").to_string_lossy().into_owned();
        assert!(!shown.contains("Ada") && !shown.contains("shop"), "{shown}");
    }
}

#[tokio::test]
async fn no_directory_is_made_before_its_tables() {
    let folder = TempDir::new().expect("a temporary folder");
    let directory = folder.path().join("sessions");
    let store = open(&directory).await;
    let error = store.load(&Digest::of("a"), "shop", NOW, 0).await.expect_err("there are no tables");
    assert!(error.is_missing_tables() && error.to_string().contains("lemon-session tables create"), "{error}");
    store.try_schema().expect("schema").drop_tables().await.expect("there is nothing to drop");
    assert!(!directory.exists(), "a mistyped path leaves no directory");
}

#[tokio::test]
async fn directory_with_something_else_in_it_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("notes.txt"), "Dear diary").expect("a file");
    let error = open(folder.path()).await.set_up().await.expect_err("it is not empty");
    assert!(error.is_invalid() && error.to_string().contains("\"notes.txt\""), "{error}");
    assert_eq!(files(folder.path()), [folder.path().join("notes.txt")], "it is left as it is");

    let folder = TempDir::new().expect("a temporary folder");
    fs::create_dir_all(folder.path().join("Session")).expect("a directory");
    let error = open(folder.path()).await.set_up().await.expect_err("it is not a table");
    assert!(error.to_string().contains("is not a table of lemon:session"), "{error}");
    assert_eq!(files(folder.path()), [folder.path().join("Session")], "it is left as it is");
}

#[tokio::test]
async fn table_of_another_layout_is_refused_and_left_as_it_is() {
    let (_folder, directory, store) = created().await;
    create(&*store, &Digest::of("a"), &RECORD, []).await;
    // What a newer version would do.
    fs::write(directory.join("Session/layout"), "2\n").expect("written");
    fs::rename(directory.join("Session/v1"), directory.join("Session/v2")).expect("renamed");
    for store in [store, open(&directory).await] {
        for error in [
            store.load(&Digest::of("a"), "shop", NOW, 0).await.err(),
            store.update(&Digest::of("a"), &writing([]), None, NOW).await.err(),
            store.create(&Digest::of("b"), &RECORD, &Writes::default()).await.err(),
            store.cleanup(NOW, 9).await.err(),
            store.set_up().await.err(),
            store.try_schema().expect("schema").tables_exist().await.err(),
            store.try_schema().expect("schema").drop_tables().await.err(),
        ] {
            let error = error.expect("the layout is unknown");
            assert!(error.to_string().contains("layout 2") && !error.is_missing_tables(), "{error}");
        }
    }
    assert!(directory.join("Session/v2/sessions").exists());
}

#[tokio::test]
async fn several_tables_live_in_one_directory() {
    let (_folder, directory, first) = created().await;
    let second = open_table(&directory, "Other").await;
    second.set_up().await.expect("create_tables");
    for store in [&first, &second] {
        create(&**store, &Digest::of("a"), &RECORD, []).await;
    }
    first.update(&Digest::of("a"), &writing([put("x", b"1")]), None, NOW).await.expect("update");
    first.try_schema().expect("schema").drop_tables().await.expect("drop_tables");
    assert_eq!(variables(&*second, &Digest::of("a"), NOW).await, Some((1, Vec::new())), "the other table stays");
    assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 1);
}

type Damage = fn(&Path);

#[tokio::test]
async fn damaged_file_is_an_error_that_names_it_until_the_session_expires() {
    let flipped: Damage = |path| {
        let mut bytes = fs::read(path).expect("the file");
        *bytes.last_mut().expect("a byte") ^= 1;
        fs::write(path, bytes).expect("written");
    };
    let of_format_9: Damage = |path| {
        let mut bytes = fs::read(path).expect("the file");
        bytes[0] = 9;
        fs::write(path, bytes).expect("written");
    };
    let zeroed: Damage = |path| {
        let length = fs::metadata(path).expect("the file").len();
        fs::write(path, vec![0; length as usize]).expect("written");
    };
    for (damage, hint) in [
        ((|path| fs::write(path, "").expect("written")) as Damage, "shorter than what was written"),
        (zeroed, "empty or zeroed"),
        (flipped, "checksum"),
        (of_format_9, "format 9"),
        (|path| fs::remove_file(path).expect("removed"), "is missing"),
    ] {
        let (_folder, directory, store) = created().await;
        let digest = Digest::of("a");
        create(&*store, &digest, &Record { owner: Some("Ada".to_owned()), ..RECORD }, [put("x", &[7; 100])]).await;
        let file = data(&directory);
        damage(&file);
        for error in [
            store.load(&digest, "shop", NOW, 0).await.err(),
            store.fetch(&digest, "shop", "x", NOW).await.err(),
            store.update(&digest, &writing([put("x", b"1")]), None, NOW).await.err(),
            store.destroy(&digest, &DestroyCondition::Any, NOW, 9).await.err(),
            store.destroy_owned("Ada", None, NOW, 9).await.err(),
            store.try_transfer().expect("transfer").export(&digest, NOW).await.err(),
            store.try_inspect().expect("inspect").list(NOW, Some("Ada"), None, 9).await.err(),
        ] {
            let text = error.expect("it cannot be read").to_string();
            let name = file.file_name().expect("its name").to_string_lossy().into_owned();
            assert!(text.contains(hint) && text.contains(&name), "{text}");
            assert!(!text.contains(&digest.to_hex()[2..]), "{text}");
        }
        let created = store.create(&digest, &RECORD, &Writes::default()).await.expect("create");
        assert_eq!(created, CreateOutcome::Exists, "a session that cannot be read is no new one");
        assert_eq!(store.cleanup(RECORD.expires, 9).await.expect("cleanup"), 1);
        assert_eq!(left_in(&directory), NONE);
    }
}

#[tokio::test]
async fn errors_of_files_tell_no_secrets() {
    for break_it in [(|directory| fs::remove_dir_all(directory).expect("removed")) as Damage, |directory| {
        fs::write(directory.join("layout"), "hunter2").expect("written")
    }] {
        let (_folder, directory, store) = created().await;
        assert_eq!(failures(&*store).await, 0, "a whole store answers");
        break_it(&directory.join("Session"));
        if directory.join("Session").exists() {
            fs::remove_dir_all(directory.join("Session/v1")).expect("removed");
        }
        assert_eq!(failures(&*store).await, CALLS, "nothing works any more");
    }
}

#[tokio::test]
async fn what_an_owner_has_is_found_without_reading_other_sessions() {
    let (_folder, directory, store) = created().await;
    for number in 0..500 {
        let owner = Some(if number % 100 == 0 { "Ada" } else { "others" }.to_owned());
        create(&*store, &Digest::of(&number.to_string()), &Record { owner, ..RECORD }, []).await;
    }
    let adas = store.try_inspect().expect("inspect").list(NOW, Some("Ada"), None, 100).await.expect("list");
    assert_eq!(adas.len(), 5);
    // Whatever reads one of the others fails.
    for file in files(&directory.join("Session/v1/sessions")) {
        let hex = file.parent().map(|folder| folder.file_name().expect("a name").to_string_lossy().into_owned());
        let is_hers = adas.iter().any(|listed| Some(&listed.digest.to_hex()[2..]) == hex.as_deref());
        if !is_hers && file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("d-")) {
            fs::write(file, "").expect("damaged");
        }
    }
    let inspect = store.try_inspect().expect("inspect");
    assert!(inspect.list(NOW, None, None, 1000).await.is_err(), "the list of all reads the others");
    assert_eq!(inspect.list(NOW, Some("Ada"), None, 100).await.expect("list"), adas);
    assert_eq!(inspect.count(NOW).await.expect("count"), 500, "the names tell");
    assert_eq!(store.cleanup(NOW, 100).await.expect("cleanup"), 0, "nothing is due");
    assert_eq!(store.destroy_owned("Ada", None, NOW, 0).await.expect("destroy_owned"), 5);
    assert_eq!(store.cleanup(NOW + 1440, 1000).await.expect("cleanup"), 495);
    assert_eq!(left_in(&directory), NONE);
}

#[tokio::test]
async fn cleanup_removes_what_killed_processes_have_left() {
    let (_folder, directory, store) = created().await;
    let digest = Digest::of("a");
    create(&*store, &digest, &RECORD, [put("x", b"1")]).await;
    let folder = data(&directory).parent().expect("its folder").to_owned();
    // Proposals that were never decided, of this version, of one before, and of one far ahead.
    for name in ["d-1-00000000000000aa", "d-0-00000000000000ab", "d-63-00000000000000ac"] {
        fs::write(folder.join(name), "half of a sess").expect("written");
    }
    // Folders that were never given their name.
    for (name, file) in [(format!("{NOW:x}-00000000000000ad"), "d-0-1"), ("x-00000000000000ae".to_owned(), "s-0-1-1-1")]
    {
        fs::create_dir(directory.join("Session/v1/new").join(&name)).expect("made");
        fs::write(directory.join("Session/v1/new").join(&name).join(file), "x").expect("written");
    }
    // A folder whose session was removed, with its entry in the index.
    let other = Digest::of("b");
    create(&*store, &other, &RECORD, []).await;
    let pointers = files(&directory.join("Session/v1/sessions"));
    let is_pointer = |path: &&PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        path.parent() != Some(&folder) && name.starts_with("s-")
    };
    fs::remove_file(pointers.iter().find(is_pointer).expect("its pointer")).expect("removed");

    assert_eq!(variables(&*store, &digest, NOW).await, Some((1, vec![("x".to_owned(), b"1".to_vec())])));
    assert_eq!(store.load(&other, "shop", NOW, 0).await.expect("load"), LoadOutcome::Absent);
    store.update(&digest, &writing([put("x", b"2")]), None, NOW).await.expect("update");
    store.update(&digest, &writing([put("x", b"3")]), None, NOW).await.expect("update");
    let data = fs::read_dir(&folder)
        .expect("the folder")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("d-")));
    assert_eq!(data.count(), 2, "a save removes what it has overtaken");
    assert_eq!(store.cleanup(NOW + 599, 100).await.expect("cleanup"), 0);
    assert_eq!(files(&directory.join("Session/v1/new")).len(), 1, "one may be under way");
    assert_eq!(store.cleanup(NOW + 1440, 100).await.expect("cleanup"), 1);
    assert_eq!(left_in(&directory), NONE);
}

#[tokio::test]
async fn session_that_is_extended_is_found_at_its_new_expiry() {
    let (_folder, directory, store) = created().await;
    let (digest, far) = (Digest::of("a"), NOW + 100_000);
    create(&*store, &digest, &RECORD, []).await;
    store.update(&digest, &Change { expires: Some(far), ..writing([]) }, None, NOW).await.expect("update");
    assert_eq!(store.cleanup(NOW + 1440, 100).await.expect("cleanup"), 0);
    assert_eq!(store.cleanup(far - 1, 100).await.expect("cleanup"), 0);
    assert_eq!(store.cleanup(far, 100).await.expect("cleanup"), 1);
    assert_eq!(left_in(&directory), NONE);
}

/// A process of its own that runs one of the programs below.
fn process(program: &str, directory: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", program, "--nocapture"])
        .env("FILES_IN", directory)
        .env("FILES_AS", name)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again")
}

fn given() -> (PathBuf, String) {
    let variable = |name: &str| std::env::var(name).expect("it is started by a test");
    (variable("FILES_IN").into(), variable("FILES_AS"))
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("done ").map(str::to_owned))
}

const COUNTS: u64 = 300;

/// Adds to a counter that others add to as well.
#[tokio::test]
#[ignore = "a process that other tests start"]
async fn counting_process() {
    let (directory, _) = given();
    let store = open(&directory).await;
    let mut done = 0;
    while done < COUNTS {
        let (version, variables) = variables(&*store, &Digest::of("a"), NOW).await.expect("a live session");
        let count = u64::from_be_bytes(variables[0].1.as_slice().try_into().expect("eight bytes")) + 1;
        let change = writing([put("n", &count.to_be_bytes())]);
        match store.update(&Digest::of("a"), &change, Some(version), NOW).await.expect("update") {
            UpdateOutcome::Committed(_) => done += 1,
            UpdateOutcome::Conflict(_) => {}
            other => panic!("{other:?}"),
        }
    }
    println!("done counting");
}

#[tokio::test]
async fn two_processes_that_add_to_one_counter_lose_nothing() {
    let (_folder, directory, store) = created().await;
    create(&*store, &Digest::of("a"), &RECORD, [put("n", &0_u64.to_be_bytes())]).await;
    let mut children = ["x", "y"].map(|name| process("counting_process", &directory, name));
    for child in &mut children {
        assert_eq!(lines(child).count(), 1);
        assert!(child.wait().expect("it ends").success());
    }
    let expected = vec![("n".to_owned(), (2 * COUNTS).to_be_bytes().to_vec())];
    assert_eq!(variables(&*store, &Digest::of("a"), NOW).await, Some((2 * COUNTS + 1, expected)));
}

/// Creates, saves, rotates and ends sessions, in turn, and tells what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that other tests start"]
async fn saving_process() {
    let (directory, name) = given();
    let store = open(&directory).await;
    let tasks = (0..3).map(|task| {
        let (store, name) = (Arc::clone(&store), name.clone());
        tokio::spawn(async move {
            for round in 0..100_000 {
                let id = |step: u32| Digest::of(&format!("{name} {task} {round} {step}"));
                let owned = Record { owner: Some(name.clone()), ..RECORD };
                create(&*store, &id(0), &owned, [put("saves", &[0]), put("large", &[0; 5000])]).await;
                println!("done {name} {task} {round} 0 0");
                for save in 1..4_u8 {
                    let change = writing([put("saves", &[save]), put("large", &[save; 5000])]);
                    let saved = store.update(&id(0), &change, None, NOW).await.expect("update");
                    assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
                    println!("done {name} {task} {round} 0 {save}");
                }
                let grace = (round % 2 == 0).then(|| Grace { until: NOW + 100, nonce: b"n".to_vec() });
                let rotation = Some(Rotation { to: id(1), grace });
                let change =
                    Change { rotation, remember: 50, ..writing([put("saves", &[4]), put("large", &[4; 5000])]) };
                let saved = store.update(&id(0), &change, None, NOW).await.expect("update");
                assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
                println!("done {name} {task} {round} 1 4");
                if round % 3 == 0 {
                    assert!(store.destroy(&id(1), &DestroyCondition::Any, NOW, 50).await.expect("destroy"));
                    println!("done {name} {task} {round} 1 5");
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("the task ends");
    }
}

#[tokio::test]
async fn kill_9_loses_no_acknowledged_save_and_leaves_nothing() {
    let (_folder, directory, store) = created().await;
    // What was acknowledged last of each session: its step, and how many saves.
    let mut last = std::collections::BTreeMap::new();
    for round in 0..20 {
        let mut child = process("saving_process", &directory, &format!("{round}"));
        let mut done = lines(&mut child);
        let mut acknowledged: Vec<String> = done.by_ref().take(3 + 11 * round).collect();
        child.kill().expect("SIGKILL");
        // Those that it still wrote before it died.
        acknowledged.extend(done);
        child.wait().expect("it is dead");
        for line in acknowledged {
            // The last line may be half of one.
            if let [name, task, round, step, saves] = line.split(' ').collect::<Vec<_>>()[..] {
                let saves: u8 = saves.parse().expect("a number");
                let session = last.entry(format!("{name} {task} {round}")).or_insert((step.to_owned(), saves));
                *session = (step.to_owned(), saves);
            }
        }
    }
    assert!(last.len() > 100, "{} sessions", last.len());
    for (session, (step, saves)) in &last {
        let mut found = None;
        for step in ["0", "1"] {
            let digest = Digest::of(&format!("{session} {step}"));
            // After the grace period, one digest has it.
            if let Some((_, variables)) = variables(&*store, &digest, NOW + 100).await {
                assert_eq!(found, None, "one digest has the session");
                let stored = variables[1].1[0];
                assert!(variables[0].1 == vec![stored; 5000], "all of a save or nothing");
                found = Some((step, stored));
            }
        }
        match found {
            Some((at, stored)) => {
                assert!(
                    at >= step.as_str() && stored >= *saves && *saves < 5,
                    "{session}: {step} {saves}, {at} {stored}"
                );
            }
            None => assert!(
                *saves >= 4
                    && session
                        .split(' ')
                        .nth(2)
                        .is_some_and(|round| { round.parse::<u32>().is_ok_and(|round| round % 3 == 0) }),
                "{session} {step} {saves} is lost"
            ),
        }
    }
    // Sessions and their owners are found, and the store goes on.
    let live = store.try_inspect().expect("inspect").count(NOW).await.expect("count");
    let mut owned = 0;
    for round in 0..20 {
        let listed = store.try_inspect().expect("inspect").list(NOW, Some(&round.to_string()), None, u32::MAX).await;
        owned += listed.expect("list").len() as u64;
    }
    assert_eq!(owned, live, "every session is in the index of its owner");
    let far = NOW + 10_000;
    assert!(store.cleanup(far, u32::MAX).await.expect("cleanup") > 100);
    assert_eq!(left_in(&directory), NONE, "a cleanup leaves nothing");
}

/// A small disk: a file system of its own in memory, which goes with this value. None where this user may not mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).output();
        if !mount.is_ok_and(|mounted| mounted.status.success()) {
            eprintln!("\n*** SKIPPED: only root can mount a file system ***\n");
            return None;
        }
        Some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn saves_on_a_full_disk_fail_and_recover_by_themselves() {
    let Some(disk) = SmallDisk::new() else { return };
    let store = open(disk.0.path()).await;
    store.set_up().await.expect("create_tables");
    let digest = Digest::of("a");
    create(&*store, &digest, &RECORD, [put("x", b"1")]).await;
    let save = async |value: &[u8]| store.update(&digest, &writing([put("x", value)]), None, NOW).await;
    let error = save(&[1; 2 << 20]).await.expect_err("there is no room for it");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(variables(&*store, &digest, NOW).await, Some((1, vec![("x".to_owned(), b"1".to_vec())])));
    save(&[2; 100_000]).await.expect("what was written in vain is removed");
    let error = store.create(&Digest::of("b"), &RECORD, &[put("x", &[1; 2 << 20])].into()).await;
    assert!(error.expect_err("there is no room").to_string().contains("the disk is full"));
    assert_eq!(files(&disk.0.path().join("Session/v1/new")), NONE);
}
