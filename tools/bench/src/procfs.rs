//! CPU time and memory of a process, as Linux tells them.

use std::fs;

use anyhow::Context;

/// User and system time of the process and all its threads so far, in steps of the kernel's ticks of
/// 10 ms. A process that has ended has it until it is waited for.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = read(pid, "stat")?;
    let ticks = cpu_ticks(&stat).context("cannot read a process's CPU time")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The most memory that the process has had resident; `None` once it has ended.
pub(crate) fn peak_mib(pid: u32) -> Option<f64> {
    status_mib(&read(pid, "status").ok()?, "VmHWM:")
}

/// The memory that the process has resident; `None` once it has ended.
pub(crate) fn resident_mib(pid: u32) -> Option<f64> {
    status_mib(&read(pid, "status").ok()?, "VmRSS:")
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))
}

/// The fields after the process's name, which may hold spaces and brackets itself.
fn after_name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(')')?.1.trim_start())
}

/// `utime` and `stime`, the 14th and 15th field (proc_pid_stat(5)).
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = after_name(stat)?.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn status_mib(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_read_past_a_name_with_spaces_and_brackets() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 99 0 0 0 1234 66 5 5 20 0 3 0 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(1300));
        assert_eq!(cpu_ticks("7 (cut"), None);
        assert_eq!(cpu_ticks("7 (cut) S 1 7"), None);
    }

    #[test]
    fn memory_is_read_in_mib() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t 1024 kB\nThreads: 3\n";
        assert_eq!(status_mib(status, "VmHWM:"), Some(20.0));
        assert_eq!(status_mib(status, "VmRSS:"), Some(1.0));
        assert_eq!(status_mib("Name:\tx\n", "VmHWM:"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).unwrap() >= 0.0);
        assert!(peak_mib(pid).unwrap() >= resident_mib(pid).unwrap() * 0.5);
    }
}
