//! Requests over connections that stay open, as fast as they are answered, and how long each took.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Result;

/// Connections at the same time.
pub(crate) const CONNECTIONS: usize = 8;

/// A server that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// When to stop: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    pub(crate) requests: usize,
}

/// Who asks for what: the connection, the number of its request, and the number among all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) own: usize,
    pub(crate) overall: usize,
}

/// How long the requests took.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// By connection, in the order in which they were sent.
    pub(crate) by_connection: Vec<Vec<Duration>>,
    pub(crate) elapsed: Duration,
    sorted: Vec<Duration>,
}

impl Measured {
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        count(self.count()) / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The time within which this share (in percent) of the requests was answered.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((self.sorted.len() * percent / 100).min(last)).copied().unwrap_or_default()
    }
}

/// A count of things, which is far below what a float can hold exactly.
pub(crate) fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Sends what `request` makes over [`CONNECTIONS`] connections until the limit; every answer must have this status.
pub(crate) fn run(
    address: SocketAddr,
    limit: Limit,
    status: u16,
    request: impl Fn(Turn) -> Vec<u8> + Sync,
) -> Result<Measured> {
    let (sent, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let started = Instant::now();
    let work = || -> Result<Vec<Duration>> {
        let mut connection = Connection::open(address)?;
        let mut latencies = Vec::new();
        while !is_over.load(Ordering::Relaxed) && started.elapsed() < limit.time {
            let overall = sent.fetch_add(1, Ordering::Relaxed);
            if overall >= limit.requests {
                break;
            }
            let bytes = request(Turn { own: latencies.len(), overall });
            let asked = Instant::now();
            let answered = connection.ask(&bytes)?;
            latencies.push(asked.elapsed());
            if answered != status {
                let body = String::from_utf8_lossy(connection.body()).into_owned();
                return Err(format!("{answered} instead of {status}: {body}").into());
            }
        }
        Ok(latencies)
    };
    let outcomes: Vec<Result<Vec<Duration>>> = std::thread::scope(|scope| {
        let guarded = || work().inspect_err(|_| is_over.store(true, Ordering::Relaxed));
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(guarded)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err("a connection of the load has panicked".into()))
        };
        threads.into_iter().map(join).collect()
    });
    let elapsed = started.elapsed();
    let by_connection = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    let mut sorted: Vec<Duration> = by_connection.iter().flatten().copied().collect();
    sorted.sort_unstable();
    Ok(Measured { by_connection, elapsed, sorted })
}

/// One request outside a measurement: its body, and how long it took.
pub(crate) fn once(address: SocketAddr, request: &[u8], status: u16) -> Result<(Vec<u8>, Duration)> {
    let mut connection = Connection::open(address)?;
    let asked = Instant::now();
    let answered = connection.ask(request)?;
    let took = asked.elapsed();
    let body = connection.body().to_vec();
    if answered == status {
        Ok((body, took))
    } else {
        Err(format!("{answered} instead of {status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let content = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/scim+json\r\nContent-Length: {length}\r\n"),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n{content}\r\n{body}")
        .into_bytes()
}

/// An HTTP/1.1 connection that understands as much as our own servers answer.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the body begins and ends in the buffer.
    body: std::ops::Range<usize>,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new(), body: 0..0 })
    }

    /// Sends a request and reads its answer whole; gives the status.
    fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let head = loop {
            self.read_more()?;
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
        };
        let (status, length) = read_head(std::str::from_utf8(&self.buffer[..head])?)?;
        self.body = head + 4..head + 4 + length;
        while self.buffer.len() < self.body.end {
            self.read_more()?;
        }
        Ok(status)
    }

    fn body(&self) -> &[u8] {
        self.buffer.get(self.body.clone()).unwrap_or_default()
    }

    fn read_more(&mut self) -> Result<()> {
        let mut part = [0; 64 * 1024];
        match self.stream.read(&mut part)? {
            0 => Err("the server has closed the connection".into()),
            read => {
                self.buffer.extend_from_slice(&part[..read]);
                Ok(())
            }
        }
    }
}

/// Status and length of the body.
fn read_head(head: &str) -> Result<(u16, usize)> {
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status line")?.parse()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value.trim())
    });
    Ok((status, length.map_or(Ok(0), str::parse)?))
}
