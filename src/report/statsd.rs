//! The run as counters and timers by UDP, one per datagram. Nobody answers, so nobody knows whether they arrive.

use super::attempt::Fault;
use super::{RunStatus, View, words};
use std::net::{ToSocketAddrs, UdpSocket};

const MOST_NAME: usize = 64;

/// The lines for a run; of a test only a counter of tests, so that no figures are falsified.
pub(super) fn render(view: &View<'_>, prefix: &str) -> Vec<String> {
    let record = view.record;
    if view.is_test {
        return vec![format!("{prefix}backup_test:1|c")];
    }
    let sums = words::sums(record);
    let is_good = record.status == RunStatus::Success;
    let mut lines = vec![
        format!("{prefix}{}:1|c", if is_good { "backup_success" } else { "backup_failure" }),
        format!("{prefix}backup_duration:{}|ms", record.duration_ms()),
        format!("{prefix}backup_bytes:{}|g", sums.bytes),
        format!("{prefix}backup_new_bytes:{}|g", sums.new_bytes),
        format!("{prefix}backup_errors:{}|g", words::run_errors(record)),
    ];
    for job in &record.jobs {
        let job_prefix = format!("{prefix}backup_job.{}", safe(&job.name));
        lines.push(format!("{job_prefix}.{}:1|c", if job.status.is_good() { "success" } else { "failure" }));
        lines.push(format!("{job_prefix}.duration:{}|ms", job.duration_ms()));
        lines.push(format!("{job_prefix}.errors:{}|g", words::job_errors(job)));
        // A job that made nothing is not one of 0 bytes.
        if words::has_content(job) {
            lines.push(format!("{job_prefix}.bytes:{}|g", job.totals.bytes));
            lines.push(format!("{job_prefix}.new_bytes:{}|g", job.totals.new_bytes));
        }
    }
    lines
}

/// A name that has no meaning in the protocol.
fn safe(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    name.chars().take(MOST_NAME).map(plain).collect()
}

pub(super) fn send(address: &str, lines: &[String]) -> Result<(), Fault> {
    let unknown = || Fault::Passing(format!("'{address}' is no address of a StatsD server; give host:port"));
    let to = address.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(unknown)?;
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let failed = |e: std::io::Error| Fault::Passing(format!("nothing could be sent to {address}: {e}"));
    let socket = UdpSocket::bind(from).map_err(failed)?;
    for line in lines {
        socket.send_to(line.as_bytes(), to).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{JobStatus, sample};

    #[test]
    fn success_is_said_only_of_full_success() {
        let at = "2026-01-02T02:04:05Z".parse().unwrap();
        let (bad, good) = (sample::run(at), sample::good_run(at));
        let lines = |record: &_| render(&View::new(record), "x.");
        assert_eq!(lines(&good)[0], "x.backup_success:1|c");
        assert!(lines(&bad).iter().all(|line| !line.starts_with("x.backup_success")));
        assert_eq!(lines(&bad)[0], "x.backup_failure:1|c");
        assert!(lines(&bad).contains(&"x.backup_job.database.failure:1|c".to_owned()));
        assert!(lines(&bad).contains(&"x.backup_job.home.success:1|c".to_owned()));
        assert!(!lines(&bad).iter().any(|line| line.contains("database.bytes")));
        assert_eq!(render(&View { is_test: true, ..View::new(&good) }, ""), ["backup_test:1|c"]);
    }

    #[test]
    fn names_are_made_safe() {
        let mut record = sample::good_run("2026-01-02T02:04:05Z".parse().unwrap());
        record.jobs[0].name = "a.b:c|d@e\n<ü>".to_owned();
        record.jobs[0].status = JobStatus::Unchanged;
        let lines = render(&View::new(&record), "");
        assert!(lines.contains(&"backup_job.a_b_c_d_e____.success:1|c".to_owned()), "{lines:?}");
        for line in lines {
            let (name, rest) = line.split_once(':').unwrap();
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{line}");
            let (value, kind) = rest.split_once('|').unwrap();
            assert!(value.parse::<u64>().is_ok() && ["c", "ms", "g"].contains(&kind), "{line}");
        }
    }
}
