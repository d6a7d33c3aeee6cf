//! A server under load: a process of its own, with what the kernel knows about it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{ROLE, Result, load, yardstick};

/// Where the static server listens.
pub(crate) const ADDRESS: &str = "BENCH_ADDRESS";

/// Threads that serve requests, of the bridge and of the yardstick.
pub(crate) const WORKERS: usize = 2;

/// A server that takes longer to start has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The unit of processor time in `/proc` (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// Where it is asked.
    pub(crate) address: SocketAddr,
    /// From before the process existed until it was ready.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// The bridge with this configuration file, which names these addresses.
    pub(crate) fn bridge(config: &Path, scim: SocketAddr, admin: SocketAddr) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--config"]).arg(config).env(ROLE, "serve");
        let ready = load::request("GET", "/readyz", "", "");
        Self::start(command, &config.with_extension("log"), scim, || load::once(admin, &ready, 200).is_ok())
    }

    /// The yardstick: an answer of so many bytes.
    pub(crate) fn fixed(folder: &Path, size: usize) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ROLE, "static").env(ADDRESS, address.to_string()).env(yardstick::SIZE, size.to_string());
        Self::start(command, &folder.join("static.log"), address, || TcpStream::connect(address).is_ok())
    }

    fn start(mut command: Command, log: &Path, address: SocketAddr, is_ready: impl Fn() -> bool) -> Result<Self> {
        let started = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(File::create(log)?).spawn()?;
        let mut server = Self { child, address, ready_after: Duration::ZERO };
        while !is_ready() {
            let has_ended = server.child.try_wait()?.is_some();
            if has_ended || started.elapsed() > PATIENCE {
                return Err(format!("the server does not start: {}", fs::read_to_string(log)?).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// Processor time so far, of all threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may contain anything; behind it the state is field 3, and the times 14 and 15.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
        let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        let ticks = times.sum::<std::result::Result<u32, _>>()?;
        Ok(Duration::from_secs_f64(f64::from(ticks) / TICKS_PER_SECOND))
    }

    /// Memory in use now and at its highest, in MiB.
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = |name: &str| -> Result<f64> {
            let line =
                status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no memory in /proc/PID/status")?;
            let kibibytes: f64 = line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").trim().parse()?;
            Ok(kibibytes / 1024.0)
        };
        Ok((value("VmRSS")?, value("VmHWM")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that is free now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
