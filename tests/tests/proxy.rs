//! The example of a reverse proxy, `deploy/proxy/nginx.conf`, in front of a bridge: over TLS every request arrives as it was
//! sent, every answer of the bridge passes unchanged, and what nginx itself has to say is SCIM too.
//!
//! Where nginx or openssl is not installed, the example is rendered and read, and no more; `make tools` installs both.

#![expect(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bridge_tests::samples::{ann, okta_user};
use bridge_tests::{Answer, Bridge, Setup};
use reqwest::{Certificate, Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

const EXAMPLE: &str = include_str!("../../deploy/proxy/nginx.conf");
/// The name in the example and in the certificate.
const HOST: &str = "scim.acme.example";
const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const SCIM_JSON: &str = "application/scim+json;charset=utf-8";
/// How long nginx may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running nginx of our own, with a throw-away certificate.
struct Proxy {
    process: Child,
    port: u16,
    client: Client,
    folder: TempDir,
}

impl Proxy {
    /// Starts nginx with the example in front of `bridge`; `None` where it is not installed.
    fn start(bridge: SocketAddr) -> Option<Self> {
        let (Some(nginx), Some(openssl)) = (program("nginx"), program("openssl")) else {
            assert!(rendered(bridge, 1, Path::new("/tmp")).contains("proxy_pass http://scim_bridge;"));
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let certificate = make_certificate(&openssl, folder.path());
        let port = free_port();
        fs::write(folder.path().join("scim-bridge.conf"), rendered(bridge, port, folder.path())).unwrap();
        fs::write(folder.path().join("nginx.conf"), surroundings(folder.path())).unwrap();
        let process = Command::new(nginx)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let client = Client::builder()
            .tls_certs_only([certificate])
            .resolve(HOST, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .build()
            .unwrap();
        let mut proxy = Self { process, port, client, folder };
        proxy.wait();
        Some(proxy)
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "nginx does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("https://{HOST}:{}/scim/v2{path}", self.port))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Without a master process this child is the whole of nginx.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian keeps servers where an ordinary user's PATH does not lead.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A certificate for [`HOST`] that signs itself, in the files `cert.pem` and `key.pem`.
fn make_certificate(openssl: &Path, folder: &Path) -> Certificate {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=scim-bridge test", "-addext", &format!("subjectAltName=DNS:{HOST}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Certificate::from_pem(&fs::read(certificate).unwrap()).unwrap()
}

/// The example with this test's addresses and files; everything else stays as it is.
fn rendered(bridge: SocketAddr, port: u16, folder: &Path) -> String {
    let folder = folder.display();
    let replacements = [
        ("server 127.0.0.1:8080;", format!("server {bridge};")),
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
        ("listen [::]:443 ssl;", String::new()),
        ("/etc/ssl/scim-bridge/fullchain.pem", format!("{folder}/cert.pem")),
        ("/etc/ssl/scim-bridge/privkey.pem", format!("{folder}/key.pem")),
        ("/var/log/nginx/scim-bridge.log", format!("{folder}/access.log")),
    ];
    let mut text = EXAMPLE.to_owned();
    for (from, to) in replacements {
        assert_eq!(text.matches(from).count(), 1, "{from} is in the example once");
        text = text.replace(from, &to);
    }
    let is_ours = |line: &str| ![" 443", "]:443", "/etc/", "/var/"].iter().any(|place| line.contains(place));
    assert!(text.lines().filter(|line| !line.trim_start().starts_with('#')).all(is_ours), "{text}");
    text
}

/// What a distribution's own nginx.conf has around the example, in a folder of ours and as one process.
fn surroundings(folder: &Path) -> String {
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n    access_log off;\n{temporary}    include {folder}/scim-bridge.conf;\n}}\n"
    )
}

/// What a client sees of an answer, without what differs from request to request.
fn seen(answer: &Answer) -> (u16, Vec<String>, Value) {
    let names = ["content-type", "etag", "location", "www-authenticate", "allow", "retry-after"];
    (answer.status, names.map(|name| answer.header(name).to_owned()).to_vec(), answer.body.clone())
}

#[tokio::test]
async fn every_address_arrives_as_it_was_sent_and_every_answer_passes_unchanged() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let Some(proxy) = Proxy::start(bridge.running.scim_addr) else { return };
    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let paths = [
        (200, "/Users?filter=userName%20eq%20%22ann%40acme.example%22"),
        (200, "/Users?filter=userName+eq+%22ann@acme.example%22&startIndex=1&count=100"),
        (200, "/Users?filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22ann%40acme.example%22"),
        (200, "/Users/"),
        (200, "/Users/?filter=displayName+eq+%22R%26D%2C+%22"),
        (200, &format!("/Users/{id}/?excludedAttributes=name")),
        (200, "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"),
        (200, "/Schemas/urn%3Aietf%3Aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AUser"),
        (404, "/Users/a%2Fb"),
        (404, "/Users/a%252Fb%2B"),
        (404, "/Users/%C3%A9%20%25"),
        (404, "/Users/010101001010101011001010101011"),
        (404, "/Nothing/at/all"),
        (400, "/Users?filter="),
        (400, "/Users?filter=userName%20eq"),
        (400, "/Users?count=ten"),
    ];
    for (status, path) in paths {
        let direct = bridge.get(path).await.has_status(status);
        let through = Answer::of(proxy.request(Method::GET, path).bearer_auth(&bridge.token)).await;
        assert_eq!(seen(&through), seen(&direct), "{path}");
        assert_eq!(through.header("x-request-id").len(), 36, "{path}");
    }
    let long = format!("/Users?filter=userName%20eq%20%22{}%22", "x".repeat(12_000));
    assert_eq!(Answer::of(proxy.request(Method::GET, &long).bearer_auth(&bridge.token)).await.status, 200);
    let log = fs::read_to_string(proxy.folder.path().join("access.log")).unwrap();
    assert!(log.contains("GET /scim/v2/Users") && !log.contains("ann"), "{log}");
    drop(proxy);
    bridge.stop().await;
}

#[tokio::test]
async fn the_token_arrives_and_what_is_refused_without_it_is_told_as_the_bridge_tells_it() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let Some(proxy) = Proxy::start(bridge.running.scim_addr) else { return };
    let get = || proxy.request(Method::GET, "/Users?count=1");
    let bare = get().header("Authorization", &bridge.token);
    assert_eq!(Answer::of(get().bearer_auth(&bridge.token)).await.status, 200);
    assert_eq!(Answer::of(bare).await.status, 200);
    for request in [get(), get().bearer_auth("non-token"), get().basic_auth("okta", Some("password"))] {
        let answer = Answer::of(request).await.has_status(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"scim\"");
        assert_eq!(answer.header("content-type"), SCIM_JSON);
        assert_eq!(answer.body["schemas"], json!([ERROR_URN]));
    }
    drop(proxy);
    bridge.stop().await;
}

#[tokio::test]
async fn writes_pass_with_their_bodies_up_to_the_limit_of_the_bridge() {
    let bridge = Bridge::with(Setup::default().wait("0s")).await;
    let Some(proxy) = Proxy::start(bridge.running.scim_addr) else { return };
    let send = |method: Method, path: &str, body: Vec<u8>| {
        let request = proxy.request(method, path).bearer_auth(&bridge.token);
        Answer::of(request.header("Content-Type", "application/scim+json; charset=utf-8").body(body))
    };
    let padded = |user: &Value, length: usize| {
        let mut body = user.to_string().into_bytes();
        body.resize(length, b' ');
        body
    };
    const MIB: usize = 1 << 20;
    for (name, length) in [("bob", 200 * 1024), ("cleo", MIB)] {
        let answer = send(Method::POST, "/Users", padded(&okta_user(name), length)).await.has_status(201);
        assert_eq!(answer.header("content-type"), SCIM_JSON);
        assert!(answer.header("location").ends_with(&answer.id()), "{:?}", answer.headers);
    }
    let twice = send(Method::POST, "/Users/", padded(&okta_user("bob"), 4096)).await.has_status(409);
    assert_eq!((twice.scim_type(), twice.body["status"].as_str()), ("uniqueness", Some("409")));
    send(Method::POST, "/Users", b"{\"userName\":".to_vec()).await.has_status(400).names(&["line 1"]);

    let id = bridge.post("/Users", ann()).await.has_status(201).id();
    let operations = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"active": false}}]});
    let patched =
        send(Method::PATCH, &format!("/Users/{id}"), operations.to_string().into_bytes()).await.has_status(200);
    assert_eq!(patched.body["active"], false);
    let deleted = send(Method::DELETE, &format!("/Users/{id}"), Vec::new()).await.has_status(204);
    assert_eq!(deleted.body, Value::Null);

    let too_long = padded(&okta_user("dora"), MIB + 1);
    let through = send(Method::POST, "/Users", too_long.clone()).await.has_status(413);
    let direct = bridge.request(Method::POST, "/Users").header("Content-Type", "application/scim+json").body(too_long);
    let direct = Answer::of(direct).await.has_status(413);
    for answer in [&through, &direct] {
        assert_eq!(answer.header("content-type"), SCIM_JSON);
        assert_eq!((&answer.body["schemas"], &answer.body["status"]), (&json!([ERROR_URN]), &json!("413")));
        assert!(!answer.detail().is_empty());
    }
    drop(proxy);
    bridge.stop().await;
}

#[tokio::test]
async fn what_nginx_itself_has_to_say_is_scim_too() {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let Some(proxy) = Proxy::start(nobody) else { return };
    let get = |path: &str| Answer::of(proxy.request(Method::GET, path));
    let plain = Answer::of(Client::new().get(format!("http://127.0.0.1:{}/scim/v2/Users", proxy.port)));
    let too_long = format!("/Users?filter={}", "x".repeat(40_000));
    let down = get("/Users").await;
    assert_eq!(down.header("retry-after"), "30");
    for (answer, status) in [(down, 503), (get(&too_long).await, 400), (plain.await, 400)] {
        let answer = answer.has_status(status);
        assert_eq!(answer.header("content-type"), SCIM_JSON);
        assert_eq!(answer.body["schemas"], json!([ERROR_URN]));
        assert_eq!(answer.body["status"], json!(status.to_string()));
    }
}
