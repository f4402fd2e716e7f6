//! A mail server for tests: speaks SMTP as far as a client that sends needs it (EHLO, STARTTLS, AUTH PLAIN and LOGIN, DATA with dots),
//! keeps what it gets, and refuses what a test tells it to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// With the dots taken out again; lines end with CRLF.
    pub data: String,
    /// Who logged in.
    pub user: Option<String>,
    pub was_encrypted: bool,
}

/// When the conversation is encrypted.
#[derive(Clone)]
pub enum Encryption {
    Never,
    /// After STARTTLS, without which no mail is taken.
    Starttls(Arc<ServerConfig>),
    Always(Arc<ServerConfig>),
}

/// What a server does.
pub struct Behaviour {
    pub encryption: Encryption,
    /// Name and password that are asked for.
    pub login: Option<(String, String)>,
    /// An answer in place of the right one to a command line.
    pub answer: Answer,
}

pub type Answer = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

impl Default for Behaviour {
    fn default() -> Self {
        Self { encryption: Encryption::Never, login: None, answer: Box::new(|_| None) }
    }
}

pub struct SmtpServer {
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    commands: Arc<Mutex<Vec<String>>>,
}

impl SmtpServer {
    /// The thread ends with the process.
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mails, commands) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (kept, told, behaviour) = (mails.clone(), commands.clone(), Arc::new(behaviour));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mails, commands, behaviour) = (kept.clone(), told.clone(), behaviour.clone());
                std::thread::spawn(move || serve(stream, &behaviour, &mails, &commands));
            }
        });
        Self { port, mails, commands }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// The command lines of all conversations.
    pub fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn serve(stream: TcpStream, behaviour: &Behaviour, mails: &Mutex<Vec<Mail>>, commands: &Mutex<Vec<String>>) {
    let talk = |stream: &mut dyn Stream, is_encrypted, greets| {
        Talk { stream, behaviour, mails, commands, is_encrypted, user: None }.run(greets)
    };
    let encrypted = |config: &Arc<ServerConfig>, stream: TcpStream| {
        StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
    };
    match &behaviour.encryption {
        Encryption::Always(config) => drop(talk(&mut encrypted(config, stream), true, true)),
        Encryption::Never => drop(talk(&mut &stream, false, true)),
        Encryption::Starttls(config) => {
            if talk(&mut &stream, false, true) == Some(Next::Encrypt) {
                talk(&mut encrypted(config, stream), true, false);
            }
        }
    }
}

#[derive(PartialEq)]
enum Next {
    Encrypt,
    End,
}

struct Talk<'a> {
    stream: &'a mut dyn Stream,
    behaviour: &'a Behaviour,
    mails: &'a Mutex<Vec<Mail>>,
    commands: &'a Mutex<Vec<String>>,
    is_encrypted: bool,
    user: Option<String>,
}

impl Talk<'_> {
    /// `None` if the client has gone.
    fn run(&mut self, greets: bool) -> Option<Next> {
        if greets {
            self.say("220 mail.test ESMTP")?;
        }
        let mut mail: Option<Mail> = None;
        loop {
            let line = self.line()?;
            self.commands.lock().unwrap().push(line.clone());
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            if let Some(answer) = (self.behaviour.answer)(&line) {
                self.say(&answer)?;
                continue;
            }
            let may_send = self.may_send();
            match (word.as_str(), &mut mail) {
                ("EHLO", _) => self.greet()?,
                ("STARTTLS", _) => {
                    self.say("220 go ahead")?;
                    return Some(Next::Encrypt);
                }
                ("AUTH", _) => self.login(&line)?,
                ("MAIL", _) if !may_send => self.say("530 5.7.0 encrypt and log in first")?,
                ("MAIL", _) => {
                    let (user, was_encrypted) = (self.user.clone(), self.is_encrypted);
                    mail =
                        Some(Mail { from: address(&line), to: Vec::new(), data: String::new(), user, was_encrypted });
                    self.say("250 2.1.0 ok")?;
                }
                ("RCPT", Some(mail)) => {
                    mail.to.push(address(&line));
                    self.say("250 2.1.5 ok")?;
                }
                ("DATA", Some(open)) if !open.to.is_empty() => {
                    self.say("354 end with a dot")?;
                    open.data = self.data()?;
                    self.mails.lock().unwrap().extend(mail.take());
                    self.say("250-2.0.0 taken\r\n250 2.0.0 for good")?;
                }
                ("RSET", _) => {
                    mail = None;
                    self.say("250 2.0.0 ok")?;
                }
                ("NOOP", _) => self.say("250 2.0.0 ok")?,
                ("QUIT", _) => {
                    self.say("221 2.0.0 bye")?;
                    return Some(Next::End);
                }
                _ => self.say("503 5.5.1 not now")?,
            }
        }
    }

    fn may_send(&self) -> bool {
        let is_safe = self.is_encrypted || matches!(self.behaviour.encryption, Encryption::Never);
        is_safe && (self.behaviour.login.is_none() || self.user.is_some())
    }

    fn greet(&mut self) -> Option<()> {
        let mut lines = vec!["mail.test", "8BITMIME", "ENHANCEDSTATUSCODES"];
        if matches!(self.behaviour.encryption, Encryption::Starttls(_)) && !self.is_encrypted {
            lines.push("STARTTLS");
        } else if self.behaviour.login.is_some() {
            lines.push("AUTH PLAIN LOGIN");
        }
        let last = lines.len() - 1;
        let lines: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }))
            .collect();
        self.say(&lines.join("\r\n"))
    }

    fn login(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let decode = |text: &str| String::from_utf8(STANDARD.decode(text.trim()).unwrap()).unwrap();
        let (user, password) = match words.get(1).map(|word| word.to_ascii_uppercase()).as_deref() {
            Some("PLAIN") => {
                let text = decode(words.get(2)?);
                let parts: Vec<&str> = text.split('\0').collect();
                (parts[1].to_owned(), parts[2].to_owned())
            }
            _ => return self.say("504 5.5.4 unknown"),
        };
        if self.behaviour.login == Some((user.clone(), password)) {
            self.user = Some(user);
            return self.say("235 2.7.0 welcome");
        }
        self.say("535 5.7.8 wrong name or password")
    }

    /// Up to the lonely dot.
    fn data(&mut self) -> Option<String> {
        let mut data = String::new();
        loop {
            let line = self.line()?;
            if line == "." {
                return Some(data);
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push_str("\r\n");
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            self.stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        Some(String::from_utf8(line).unwrap())
    }

    fn say(&mut self, answer: &str) -> Option<()> {
        self.stream.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
        self.stream.flush().ok()
    }
}

/// What stands between `<` and `>`.
fn address(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner.to_owned()).unwrap()
}

impl Mail {
    /// A header with its continuation lines, or `None`.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.data.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
        let start = format!("{}:", name.to_ascii_lowercase());
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&start))?.to_owned();
        Some(line[start.len()..].trim().to_owned())
    }

    /// Type and decoded text of each part of a multipart mail.
    pub fn parts(&self) -> Vec<(String, String)> {
        let kind = self.header("Content-Type").unwrap();
        let boundary = kind.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
        let line = format!("--{boundary}");
        let inner = self.data.split(&line).skip(1).filter(|part| !part.starts_with("--"));
        inner.map(|part| decode(part.trim_start_matches("\r\n"))).collect()
    }
}

fn decode(part: &str) -> (String, String) {
    let (head, body) = part.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap().to_owned();
    let encoding = head.lines().find_map(|line| line.strip_prefix("content-transfer-encoding: ")).unwrap_or("7bit");
    let bytes = match encoding {
        "base64" => STANDARD.decode(body.replace("\r\n", "")).unwrap(),
        "quoted-printable" => quoted_printable(body),
        _ => body.as_bytes().to_vec(),
    };
    (kind, String::from_utf8(bytes).unwrap().replace("\r\n", "\n"))
}

fn quoted_printable(body: &str) -> Vec<u8> {
    let body = body.replace("=\r\n", "");
    let mut out = Vec::new();
    let mut rest = body.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'=' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            out.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    out
}
