//! The walk-through of docs/quickstart.md, typed by a fresh user.

mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::smtp::{Behaviour, SmtpServer};

/// A block of commands, and what it must end with.
struct Block {
    commands: String,
    exit: i32,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```sh") else { continue };
        let exit = info.trim().strip_prefix("exit ").map_or(0, |code| code.parse().unwrap());
        let commands: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block { commands: commands.join("\n"), exit });
    }
    blocks
}

#[test]
fn every_command_does_what_the_page_says() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/quickstart.md")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let server = SmtpServer::start(Behaviour::default());
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ssb")).parent().unwrap().to_owned();
    // Each block goes on where the one before has ended.
    let mut before = String::from("cd ~\n");
    let mut shown = Vec::new();
    for block in blocks(&text) {
        let commands = block.commands.replace("port = 1025", &format!("port = {}", server.port));
        let script = format!("{before}set -e\n{commands}\n");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.display());
        let mut command = Command::new("bash");
        command.args(["-c", &script]).env_clear().env("HOME", home.path()).env("PATH", path).stdin(Stdio::null());
        let ended = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.status.code(), Some(block.exit), "{}\n{said}", block.commands);
        assert!(!said.contains("four random words"), "{said}");
        before = "cd ~/tour\nexport SSB_CONFIG=~/tour/config.toml\n".to_owned();
        shown.push(said);
    }
    let said = |words: &str| shown.iter().filter(|said| said.contains(words)).count();
    assert!(said("oftn") >= 3 && said("often") >= 3, "{shown:?}");
    assert!(said("ssb run --due") >= 1, "the line for cron");
    assert!(shown.iter().any(|said| said.contains("2 snapshots")), "retention: {shown:?}");
    assert!(shown.iter().any(|said| said.contains("rdb 3")), "restored: {shown:?}");

    let tour = home.path().join("tour");
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(tour.join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let pages = names("html");
    let count = |prefix: &str| pages.iter().filter(|name| name.starts_with(prefix)).count();
    // The run of what is due tells of uploads and database, or of nothing at all.
    assert!(count("backup-") >= 3 && count("error-") == 1 && pages.contains(&"index.html".to_owned()), "{pages:?}");
    assert_eq!(names("log").len(), 1);

    let mails = server.mails();
    let to = |address: &str| mails.iter().filter(|mail| mail.to.iter().any(|to| to == address)).count();
    assert_eq!(to("ops@example.org"), 1, "{mails:?}");
    assert!(to("archive@example.org") >= 2, "{mails:?}");
}
