//! `ssb report` as the program: the last run, and a test that goes to encrypted servers.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use ssb::report::{History, RunRecord, sample};
use support::canned::{CannedServer, reply};
use support::shell::Shell;
use support::smtp::{Behaviour, Encryption, SmtpServer};

fn with_config(text: &str) -> Shell {
    let shell = Shell::new();
    let path = shell.write("ssb.toml", text);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    shell.set("SSB_CONFIG", &path)
}

/// A server's side of TLS for `name`, and what its clients have to trust.
fn certificate(name: &str) -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    (Arc::new(config), made.cert.pem())
}

#[test]
fn the_last_run_is_shown() {
    let shell = with_config("[run]\nstate-dir = '/nowhere'\n");
    shell.fails(&["report", "last"], 2, &["no run has been kept", "run.state-dir"]);
    let folder = shell.path("state");
    shell.write("ssb.toml", format!("[run]\nstate-dir = '{}'\n", folder.display()));
    let history = History::new(&folder);
    history.keep(&sample::good_run("2026-01-01T02:04:05Z".parse().unwrap())).unwrap();
    let record = sample::run("2026-01-02T02:04:05Z".parse().unwrap());
    history.keep(&record).unwrap();
    let shown = shell.ok(&["report", "last"]).out;
    assert!(shown.starts_with("ssb: 2 of 5 failed, 1 incomplete on db-1: photos, database, etc\n\nBegan"), "{shown}");
    assert!(shown.ends_with("scratch: disabled\n"), "{shown}");
    let json = shell.json(&["report", "last", "--json"]);
    assert_eq!(serde_json::from_value::<RunRecord>(json).unwrap(), record);
}

#[test]
fn without_a_config_the_users_folder_is_looked_into() {
    let shell = Shell::new();
    History::new(&shell.path(".local/state/ssb"))
        .keep(&sample::good_run("2026-01-01T02:04:05Z".parse().unwrap()))
        .unwrap();
    assert!(shell.ok(&["report", "last"]).out.contains("all 2 backed up"));
    shell.fails(&["report", "send", "--test"], 2, &["no config file"]);
}

#[test]
fn a_test_needs_channels_and_says_what_became_of_each() {
    let shell = with_config("[run]\nmax-parallel = 1\n");
    shell.fails(&["report", "send", "--test"], 2, &["no channel", "[report.html]"]);
    let server = CannedServer::start(|head| match head.contains("/hook") {
        true => reply("403 Forbidden", "", "bad token verysecret-token"),
        false => reply("200 OK", "", "ok"),
    });
    let html = shell.path("html");
    let config = format!(
        "[report]
         html.folder = '{}'
         slack.webhook = '{url}/slack'
         webhook.url = '{url}/hook/verysecret-token'
         prometheus.textfile = '{}'
         [repository]
         location = '/backup'",
        html.display(),
        shell.path("ssb.prom").display(),
        url = server.endpoint()
    );
    shell.write("ssb.toml", config);
    let ended = shell.run(&["report", "send", "--test"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    let refused = format!("webhook: failed: {} answered 403: bad token ***", server.endpoint());
    let left = "prometheus: left out, for there is no run to tell of";
    assert_eq!(lines, ["html: delivered", "slack: delivered", refused.as_str(), left]);
    let pages: Vec<String> =
        fs::read_dir(&html).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(pages.len(), 3, "{pages:?}");
    let index = fs::read_to_string(html.join("index.html")).unwrap();
    assert!(index.contains(">Test: 2 of 5 failed"), "{index}");
    let json = shell.json(&["report", "send", "--test", "--json"]);
    assert_eq!(
        json["channels"][1],
        serde_json::json!({ "channel": "slack", "delivery": "delivered", "why": Value::Null })
    );
    assert_eq!(json["channels"][2]["delivery"], "failed");
    assert!(!json.to_string().contains("verysecret-token"));
}

#[test]
fn mail_goes_encrypted_to_servers_that_can_be_trusted() {
    let (config, trusted) = certificate("localhost");
    let login = || Some(("backup".to_owned(), "hunter2-mail".to_owned()));
    for (name, encryption) in
        [("starttls", Encryption::Starttls(config.clone())), ("tls", Encryption::Always(config.clone()))]
    {
        let server = SmtpServer::start(Behaviour { encryption, login: login(), ..Behaviour::default() });
        let shell = with_config(&format!(
            "[report.email]\nhost = 'localhost'\nport = {}\nencryption = '{name}'\nuser = 'backup'\n\
             password = 'hunter2-mail'\nfrom = 'ssb@example.com'\nalways = ['ops@example.com']\n",
            server.port
        ));
        let roots = shell.write("trusted.pem", &trusted);
        let shell = shell.set("SSL_CERT_FILE", roots.to_str().unwrap());
        assert_eq!(shell.ok(&["report", "send", "--test"]).out, "email: delivered\n", "{name}");
        let mails = server.mails();
        assert_eq!(mails.len(), 1, "{name}");
        assert!(mails[0].was_encrypted && mails[0].user.as_deref() == Some("backup"));
        assert!(mails[0].header("Subject").unwrap().starts_with("[test] ssb: 2 of 5 failed"));

        let (_, stranger) = certificate("localhost");
        shell.write("trusted.pem", stranger);
        let ended = shell.run(&["report", "send", "--test"]);
        assert!(ended.code == 1 && ended.out.starts_with("email: failed: localhost could not be trusted"), "{ended:?}");
        assert_eq!(server.mails().len(), 1);
    }
}
