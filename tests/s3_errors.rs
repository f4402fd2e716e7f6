//! What goes wrong between here and an S3 server, and what is said of it: the right kind, the right names, in time, and
//! no secret.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ssb::store::{
    ErrorKind, Location, ObjectStore, OpenOptions, RetryPolicy, S3Settings, S3Store, StoreError, list_all, open,
};
use support::canned::{CannedServer, error, reply};
use support::s3_server::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY, location, settings, settings_with};

fn connect(endpoint: &str, settings: &S3Settings) -> S3Store {
    S3Store::connect(&location(endpoint, BUCKET, "p"), settings).unwrap()
}

fn check(error: StoreError, kind: ErrorKind, names: &[&str]) {
    let text = format!("{error} {error:?}");
    assert_eq!(error.kind, kind, "{text}");
    names.iter().for_each(|name| assert!(text.contains(name), "'{name}' is not in: {text}"));
    assert!(!text.contains(SECRET_KEY), "the secret is in: {text}");
    assert!(!error.message.contains('\n') && !error.message.ends_with('.'), "not one sentence: {text}");
}

#[test]
fn a_bucket_that_does_not_exist() {
    let server = S3Server::start();
    let store = S3Store::connect(&location(&server.endpoint(), "no-such-bucket", ""), &settings()).unwrap();
    let names = ["no-such-bucket", &server.endpoint()["http://".len()..]];
    check(list_all(&store, "").unwrap_err(), ErrorKind::NoBucket, &names);

    // This server makes the bucket for a write; others say what is wrong, with or without the code.
    for answer in [error("404 Not Found", "NoSuchBucket"), reply("404 Not Found", "", "")] {
        let server = CannedServer::start(move |_| answer.clone());
        let store = connect(server.endpoint(), &settings());
        check(store.put("a", Bytes::new()).unwrap_err(), ErrorKind::NoBucket, &[BUCKET]);
        check(store.put_new("a", Bytes::new()).unwrap_err(), ErrorKind::NoBucket, &[BUCKET]);
        check(list_all(&store, "").unwrap_err(), ErrorKind::NoBucket, &[BUCKET]);
        check(store.delete_many(&["a".to_owned()]).unwrap_err(), ErrorKind::NoBucket, &[BUCKET]);
    }
    let server = CannedServer::start(|_| error("404 Not Found", "NoSuchBucket"));
    check(connect(server.endpoint(), &settings()).get("a").unwrap_err(), ErrorKind::NoBucket, &[BUCKET]);
}

#[test]
fn wrong_credentials() {
    let server = S3Server::start();
    for (key, secret) in [("AKIDNOBODYKNOWS", SECRET_KEY), (ACCESS_KEY, "a-secret-that-no-error-may-show-but-wrong")] {
        let store = connect(&server.endpoint(), &settings_with(key, secret));
        check(store.put("a", Bytes::new()).unwrap_err(), ErrorKind::Denied, &[key]);
        check(store.get("a").unwrap_err(), ErrorKind::Denied, &[key]);
        check(store.head("a").unwrap_err(), ErrorKind::Denied, &[key]);
        check(list_all(&store, "").unwrap_err(), ErrorKind::Denied, &[key]);
        check(store.delete_many(&["a".to_owned()]).unwrap_err(), ErrorKind::Denied, &[key]);
    }
}

/// Set in the processes that the test starts, which belong to it alone: the environment is the whole process's.
const CHILD: &str = "SSB_TEST_CHILD";

fn child_without_credentials() {
    let started = Instant::now();
    let failure = S3Store::connect(&location("http://127.0.0.1:1", BUCKET, ""), &S3Settings::default()).err().unwrap();
    assert!(started.elapsed() < Duration::from_secs(15));
    check(failure, ErrorKind::Denied, &["AWS_ACCESS_KEY_ID", "profile", "web identity", "ECS", "IMDS"]);
    println!("the child has seen it");
}

#[test]
fn no_credentials_anywhere() {
    if std::env::var_os(CHILD).is_some() {
        return child_without_credentials();
    }
    let home = tempfile::tempdir().unwrap();
    let child = |name: &str, value: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "no_credentials_anywhere", "--nocapture"]);
        command.env_clear().env("HOME", home.path()).env(CHILD, "1").env(name, value);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("the child has seen it"), "{name}={value}: {text}");
    };
    // On a bare machine; where the metadata service is a black hole; with a profile that is not there.
    child("SSB_TEST", "1");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    child("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{}", listener.local_addr().unwrap()));
    child("AWS_PROFILE", "nobody");
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let store = connect(&format!("http://{address}"), &settings());
    let started = Instant::now();
    check(store.get("a").unwrap_err(), ErrorKind::Unreachable, &[&address, "refused"]);
    check(store.put("a", Bytes::from_static(b"x")).unwrap_err(), ErrorKind::Unreachable, &[&address]);
    check(list_all(&store, "").unwrap_err(), ErrorKind::Unreachable, &[&address]);
    check(store.delete_many(&["a".to_owned()]).unwrap_err(), ErrorKind::Unreachable, &[&address]);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn somebody_listens_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let quick = S3Settings { first_answer_timeout: Duration::from_millis(300), ..settings() };
    let retry = RetryPolicy { unreachable_total: Duration::from_secs(1), ..RetryPolicy::default() };
    let options = OpenOptions { s3: quick, retry, ..OpenOptions::default() };
    let opened = open(&Location::S3(location(&format!("http://{address}"), BUCKET, "")), &options).unwrap();
    let started = Instant::now();
    check(opened.store.get("a").unwrap_err(), ErrorKind::Unreachable, &[&address, "did not answer"]);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(opened.counters.snapshot().get >= 2, "it was tried again");
}

#[test]
fn a_name_that_does_not_resolve() {
    let store = connect("http://no-such-host.invalid:9", &settings());
    check(store.get("a").unwrap_err(), ErrorKind::Unreachable, &["no-such-host.invalid:9"]);
}

#[test]
fn an_endpoint_that_is_no_url_and_a_ca_file_that_is_not_there() {
    let failure = S3Store::connect(&location("u:geheim@host", BUCKET, ""), &settings()).err().unwrap();
    assert!(!failure.to_string().contains("geheim"));
    check(failure, ErrorKind::Permanent, &["http://", "https://"]);
    let settings = S3Settings { ca_file: Some("/no/such/file.pem".into()), ..settings() };
    let failure = S3Store::connect(&location("https://host", BUCKET, ""), &settings).err().unwrap();
    check(failure, ErrorKind::Permanent, &["/no/such/file.pem"]);
}

#[test]
fn answers_of_servers_in_trouble() {
    for (answer, kind, words) in [
        (error("503 Slow Down", "SlowDown"), ErrorKind::Transient, "slow down"),
        (error("500 Internal Server Error", "InternalError"), ErrorKind::Transient, "words of the server"),
        (reply("502 Bad Gateway", "content-type: text/html\r\n", "<html>"), ErrorKind::Transient, "502"),
        (error("403 Forbidden", "AccessDenied"), ErrorKind::Denied, ACCESS_KEY),
        (error("507 Insufficient Storage", "XMinioStorageFull"), ErrorKind::Full, BUCKET),
        (error("400 Bad Request", "BadDigest"), ErrorKind::Transient, "damaged"),
        (error("403 Forbidden", "InvalidObjectState"), ErrorKind::Permanent, "archived"),
        (
            reply("301 Moved Permanently", "x-amz-bucket-region: eu-central-1\r\n", ""),
            ErrorKind::Permanent,
            "region 'eu-central-1'",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec(), ErrorKind::Transient, "broke off"),
        (b"rubbish\r\n\r\n".to_vec(), ErrorKind::Unreachable, "127.0.0.1"),
        (Vec::new(), ErrorKind::Unreachable, "127.0.0.1"),
    ] {
        let server = CannedServer::start(move |_| answer.clone());
        let store = connect(server.endpoint(), &settings());
        check(store.get("a").unwrap_err(), kind, &[words, "p"]);
    }
}

#[test]
fn a_web_server_is_not_an_s3_server() {
    let server = CannedServer::start(|_| reply("200 OK", "content-type: text/html\r\n", "<html><body>It works</body>"));
    let store = connect(server.endpoint(), &settings());
    check(list_all(&store, "").unwrap_err(), ErrorKind::Permanent, &["web page"]);
}

#[test]
fn a_server_without_conditional_writes() {
    let server = CannedServer::start(|head| match head.contains("if-none-match") {
        true => error("501 Not Implemented", "NotImplemented"),
        false => reply("200 OK", "", ""),
    });
    let store = connect(server.endpoint(), &settings());
    assert!(store.put_new("a", Bytes::from_static(b"x")).unwrap());
    assert!(store.put_new("b", Bytes::from_static(b"x")).unwrap());
    // The second time it is known.
    let conditions: Vec<_> = server.seen().iter().map(|head| head.contains("if-none-match")).collect();
    assert_eq!(conditions, [true, false, false]);
}

#[test]
fn a_conflict_is_settled_by_looking() {
    for there in [true, false] {
        let server = CannedServer::start(move |head| match (head.starts_with("put"), there) {
            (true, _) => error("409 Conflict", "ConditionalRequestConflict"),
            (false, true) => {
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nlast-modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n".to_vec()
            }
            (false, false) => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
        });
        let store = connect(server.endpoint(), &settings());
        match (store.put_new("a", Bytes::from_static(b"x")), there) {
            (Ok(false), true) => {}
            (Err(failure), false) => check(failure, ErrorKind::Transient, &["ConditionalRequestConflict"]),
            (other, _) => panic!("{there}: {other:?}"),
        }
    }
}

/// A server that hangs up on every write, and answers so when it is asked for an object. Nobody reads the body, so the
/// answer is lost in the reset of the connection.
fn hangs_up(answer_to_head: &'static [u8]) -> S3Store {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut first = [0; 4];
            let _ = stream.read_exact(&mut first);
            if &first == b"HEAD" {
                let _ = stream.read(&mut [0; 65_536]);
                let _ = stream.write_all(answer_to_head);
            }
        }
    });
    connect(&endpoint, &settings())
}

#[test]
fn a_server_that_refuses_and_hangs_up_before_it_has_read() {
    let is_there = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nlast-modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n\r\n";
    let store = hangs_up(is_there);
    assert!(!store.put_new("a", Bytes::from(vec![1; 16 << 20])).unwrap());
    check(store.put("a", Bytes::from(vec![1; 16 << 20])).unwrap_err(), ErrorKind::Unreachable, &[]);
}

#[test]
fn a_server_that_fails_and_hangs_up_before_it_has_read() {
    let body = || Bytes::from(vec![1; 16 << 20]);
    let store = hangs_up(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    check(store.put_new("a", body()).unwrap_err(), ErrorKind::Transient, &["failed: HTTP status 503"]);
    // What it says of looking, it does not say of writing.
    let store = hangs_up(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    check(store.put_new("a", body()).unwrap_err(), ErrorKind::Unreachable, &[]);
}

#[test]
fn a_server_that_deletes_only_one_at_a_time() {
    let server = CannedServer::start(|head| match head.starts_with("post") {
        true => error("501 Not Implemented", "NotImplemented"),
        false => reply("204 No Content", "", ""),
    });
    let store = connect(server.endpoint(), &settings());
    let keys = ["a", "b", "c"].map(str::to_owned);
    store.delete_many(&keys).unwrap();
    store.delete_many(&keys[..1]).unwrap();
    let methods: Vec<_> = server.seen().iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["post", "delete", "delete", "delete", "delete"]);
    assert!(server.seen()[0].contains("content-md5: "), "{}", server.seen()[0]);
}

#[test]
fn one_object_that_cannot_be_deleted_fails_the_batch() {
    let body = "<?xml version=\"1.0\"?><DeleteResult><Error><Key>p/b</Key><Code>AccessDenied</Code>\
                <Message>no</Message></Error></DeleteResult>";
    let server = CannedServer::start(move |_| reply("200 OK", "content-type: application/xml\r\n", body));
    let store = connect(server.endpoint(), &settings());
    check(store.delete_many(&["a", "b"].map(str::to_owned)).unwrap_err(), ErrorKind::Denied, &["AccessDenied"]);
}

#[test]
fn a_server_that_knows_no_ranges() {
    let server = CannedServer::start(|_| reply("200 OK", "", "0123456789"));
    let store = connect(server.endpoint(), &settings());
    assert_eq!(store.get_range("a", 3, 4).unwrap(), "3456");
    check(store.get_range("a", 9, 2).unwrap_err(), ErrorKind::OutOfRange, &["10"]);
    assert!(server.seen()[0].contains("range: bytes=3-6"));
}

#[test]
fn a_listing_that_goes_in_circles() {
    let server = CannedServer::start(|_| {
        let body = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>true</IsTruncated>\
                    <NextContinuationToken>again</NextContinuationToken><Contents><Key>p/a</Key><Size>1</Size>\
                    <LastModified>2015-10-21T07:28:00.000Z</LastModified></Contents></ListBucketResult>";
        reply("200 OK", "content-type: application/xml\r\n", body)
    });
    let store = connect(server.endpoint(), &settings());
    check(list_all(&store, "").unwrap_err(), ErrorKind::Permanent, &["cut off"]);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn uploads_are_plain_signed_and_vouched_for() {
    let server = CannedServer::start(|_| reply("200 OK", "", ""));
    let store = connect(server.endpoint(), &settings());
    store.put("a", Bytes::from_static(b"123456789")).unwrap();
    let head = &server.seen()[0];
    assert!(head.starts_with(&format!("put /{BUCKET}/p/a")), "{head}");
    // No aws-chunked, no trailers: several servers refuse or mangle them.
    for wanted in
        ["content-length: 9\r\n", "x-amz-checksum-crc32: y/q5jg==\r\n", "x-amz-content-sha256: 15e2b0d3c33891eb"]
    {
        assert!(head.contains(wanted), "{wanted} is not in {head}");
    }
    for unwanted in ["aws-chunked", "x-amz-trailer", "unsigned-payload"] {
        assert!(!head.contains(unwanted), "{unwanted} is in {head}");
    }
}

#[test]
fn storage_class_and_encryption_are_sent() {
    let server = CannedServer::start(|_| reply("200 OK", "", ""));
    let settings = S3Settings {
        storage_classes: vec![("packs/".to_owned(), "STANDARD_IA".to_owned())],
        encryption: Some(ssb::store::ServerEncryption::Kms { key_id: Some("the-key".to_owned()) }),
        ..settings()
    };
    let store = connect(server.endpoint(), &settings);
    store.put("packs/a", Bytes::new()).unwrap();
    store.put("index/a", Bytes::new()).unwrap();
    let seen = server.seen();
    assert!(seen[0].contains("x-amz-storage-class: standard_ia") && !seen[1].contains("x-amz-storage-class"));
    assert!(seen.iter().all(|head| head.contains("-aws-kms-key-id: the-key")));
}
