//! What is promised of connections, over real sockets.

mod server;

use std::collections::HashMap;

use http::Version;
use http_body_util::BodyExt as _;
use lockgate_config::parse;
use lockgate_config::value::Config;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::server::{Server, Speech, TunnelProxy, certificates, silence};
use super::*;

const H2: Speech = Speech::Tls(&["h2", "http/1.1"]);
const H1: Speech = Speech::Tls(&["http/1.1"]);
/// Longer than anything here takes, on a machine with other things to do.
const LONG: Duration = Duration::from_secs(20);

/// A configuration whose target `t` is this one.
fn config(target: &str) -> Arc<Config> {
    let text = format!(
        "targets: {{ t: {{ kind: openai, {target} }} }}\nfeatures: {{ f: {{ stable: v1, versions: {{ v1: {{ kind: model, chain: [ {{ target: t, model: m }} ] }} }} }} }}\n"
    );
    let env = |name: &str| Some(format!("key-{name}"));
    let loaded = parse(&text, &certificates(), &env).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    Arc::new(loaded.config)
}

fn endpoint(config: &Config) -> &Endpoint {
    config.targets["t"].kind.endpoint().unwrap()
}

/// Connections in an environment of these variables.
fn upstream(variables: &[(&str, &str)]) -> Upstream {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Upstream::with_environment(&|name| variables.get(name).cloned())
}

struct Call {
    config: Arc<Config>,
    table: Arc<Table>,
    connect: Duration,
    answer: Duration,
}

impl Call {
    fn to(target: &str) -> Self {
        let config = config(target);
        let table = Arc::new(Table::new(config.clone(), &HashMap::new()));
        Self { config, table, connect: LONG, answer: LONG }
    }

    async fn send(&self, upstream: &Upstream) -> Result<Response<Incoming>, TargetError> {
        let endpoint = endpoint(&self.config);
        let sending = Sending {
            target: &self.config.targets["t"].name,
            endpoint,
            path: "/chat/completions",
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            table: self.table.clone(),
            connect: self.connect,
            answer_by: Instant::now() + self.answer,
        };
        upstream.send(sending).await
    }

    /// The answer's text.
    async fn told(&self, upstream: &Upstream) -> Result<String, TargetError> {
        let response = self.send(upstream).await?;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[test]
fn a_path_and_a_query_are_put_behind_an_endpoints_own_path() {
    let check = |base: &'static str, path, query, expected| {
        assert_eq!(uri(&Uri::from_static(base), path, query).unwrap().to_string(), expected);
    };
    check("https://api.test/v1", "/chat/completions", "", "https://api.test/v1/chat/completions");
    check("http://127.0.0.1:8000", "/chat/completions", "", "http://127.0.0.1:8000/chat/completions");
    check("http://[::1]:8000/v1", "/messages", "", "http://[::1]:8000/v1/messages");
    check(
        "https://a.test/d",
        "/chat/completions",
        "api-version=1",
        "https://a.test/d/chat/completions?api-version=1",
    );
    check("https://agent.test/run", "", "", "https://agent.test/run");
    check("https://agent.test/run", "", "x=1&y=%20", "https://agent.test/run?x=1&y=%20");
    check("https://agent.test", "", "x=1", "https://agent.test/?x=1");
}

#[test]
fn an_endpoints_headers_and_key_take_the_place_of_a_clients() {
    let check = |more: &str, expected: &[(&str, &str)]| {
        let config = config(&format!("base_url: 'https://x.example', {more}"));
        let sent = [("authorization", "Bearer client"), ("x-team", "theirs"), ("x-other", "kept")];
        let mut headers: HeaderMap = sent
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        add_own(&mut headers, endpoint(&config)).unwrap();
        let mut told: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        told.sort_unstable();
        assert_eq!(told, expected);
        assert!(!format!("{headers:?}").contains("key-"), "{headers:?}");
    };
    check(
        "api_key: { env: A }, headers: { X-Team: ours }",
        &[("authorization", "Bearer key-A"), ("x-other", "kept"), ("x-team", "ours")],
    );
    check(
        "api_key: { env: A }, auth_header: api-key, headers: { x-token: { env: B } }",
        &[
            ("api-key", "key-A"),
            ("authorization", "Bearer client"),
            ("x-other", "kept"),
            ("x-team", "theirs"),
            ("x-token", "key-B"),
        ],
    );
}

#[tokio::test]
async fn a_target_with_an_authority_of_its_own_is_trusted_by_its_ca_file_and_by_nothing_else() {
    let server = Server::start(H2).await;
    let url = format!("base_url: 'https://127.0.0.1:{}/v1'", server.address.port());
    let upstream = upstream(&[]);
    let refused = Call::to(&url).told(&upstream).await;
    assert!(matches!(refused, Err(TargetError::Unreachable { .. })), "{refused:?}");
    let trusting = Call::to(&format!("{url}, ca_file: authority.pem"));
    assert_eq!(trusting.told(&upstream).await.unwrap(), "well");
    // One is not trusted because another is.
    let refused = Call::to(&url).told(&upstream).await;
    assert!(matches!(refused, Err(TargetError::Unreachable { .. })), "{refused:?}");
    assert_eq!(server.seen().len(), 1);
    // The same certificates, read again, lead to the same connections.
    let connections = server.connections();
    let read_again = Call::to(&format!("{url}, ca_file: authority.pem"));
    assert_eq!(read_again.told(&upstream).await.unwrap(), "well");
    assert_eq!(server.connections(), connections);
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered_and_http_1_elsewhere() {
    for (speech, version) in
        [(H2, Version::HTTP_2), (H1, Version::HTTP_11), (Speech::Tls(&[]), Version::HTTP_11)]
    {
        let server = Server::start(speech).await;
        let port = server.address.port();
        let target =
            format!("base_url: 'https://localhost:{port}', ca_file: authority.pem, query: {{ a: b }}");
        let (upstream, call) = (upstream(&[]), Call::to(&target));
        for _ in 0..3 {
            assert_eq!(call.told(&upstream).await.unwrap(), "well");
        }
        let seen = server.seen();
        assert!(seen.iter().all(|seen| seen.version == version), "{seen:?}");
        assert!(seen[0].uri.ends_with("/chat/completions?a=b"), "{seen:?}");
        assert_eq!(server.connections(), 1, "{speech:?}");
    }
}

#[tokio::test]
async fn more_calls_than_one_connection_takes_are_spread_over_several() {
    let hold = Arc::new(Notify::new());
    let server = Server::start_with(H2, Some(hold.clone()), 100).await;
    let target = format!("base_url: 'https://localhost:{}', ca_file: authority.pem", server.address.port());
    let (upstream, call) = (upstream(&[]), Arc::new(Call::to(&target)));
    let mut calls = JoinSet::new();
    for _ in 0..150 {
        let (upstream, call) = (upstream.clone(), call.clone());
        calls.spawn(async move { call.told(&upstream).await });
    }
    eventually("all calls arrive at once", || server.seen().len() == 150).await;
    hold.notify_waiters();
    for told in calls.join_all().await {
        assert_eq!(told.unwrap(), "well");
    }
}

#[tokio::test]
async fn a_call_is_under_way_for_as_long_as_the_head_of_its_answer_is_kept() {
    let server = Server::start(H2).await;
    let target = format!("base_url: 'https://localhost:{}', ca_file: authority.pem", server.address.port());
    let (upstream, call) = (upstream(&[]), Call::to(&target));
    let lane = upstream.lane(endpoint(&call.config).ca.as_ref());
    let (head, body) = call.send(&upstream).await.unwrap().into_parts();
    body.collect().await.unwrap();
    assert_eq!(lane.calls_under_way(), 1);
    drop(head);
    assert_eq!(lane.calls_under_way(), 0);
    // One that is given up is not, either.
    let silent = Call {
        connect: Duration::from_millis(20),
        ..Call::to(&format!("base_url: 'https://{}'", silence().await))
    };
    silent.told(&upstream).await.unwrap_err();
    assert_eq!(upstream.usual.calls_under_way(), 0);
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_on_a_connection_is_no_failure_to_connect() {
    let hold = Arc::new(Notify::new());
    let server = Server::start_with(H2, Some(hold.clone()), 1).await;
    let target = format!("base_url: 'https://localhost:{}', ca_file: authority.pem", server.address.port());
    let upstream = upstream(&[]);
    let first = Arc::new(Call::to(&target));
    // How many streams a server takes is known from its first answer on.
    hold.notify_one();
    assert_eq!(first.told(&upstream).await.unwrap(), "well");
    let sending = {
        let (upstream, first) = (upstream.clone(), first.clone());
        tokio::spawn(async move { first.told(&upstream).await })
    };
    eventually("the first call arrives", || server.seen().len() == 2).await;
    let mut second = Call::to(&target);
    (second.connect, second.answer) = (Duration::from_millis(20), Duration::from_millis(120));
    let late = second.told(&upstream).await;
    assert!(matches!(late, Err(TargetError::Timeout { .. })), "{late:?}");
    hold.notify_one();
    assert_eq!(sending.await.unwrap().unwrap(), "well");
}

#[tokio::test]
async fn a_table_is_let_go_when_the_request_has_left_and_not_when_the_answer_comes() {
    for speech in [Speech::Clear, H2] {
        let hold = Arc::new(Notify::new());
        let server = Server::start_with(speech, Some(hold.clone()), 100).await;
        let scheme = if speech == Speech::Clear { "http" } else { "https" };
        let target =
            format!("base_url: '{scheme}://localhost:{}', ca_file: authority.pem", server.address.port());
        let (upstream, call) = (upstream(&[]), Arc::new(Call::to(&target)));
        let sending = {
            let call = call.clone();
            tokio::spawn(async move { call.told(&upstream).await })
        };
        eventually("the call arrives", || server.seen().len() == 1).await;
        eventually("the table is let go", || Arc::strong_count(&call.table) == 1).await;
        hold.notify_one();
        assert_eq!(sending.await.unwrap().unwrap(), "well");
    }
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    let (silent, dead) = (silence().await, silence().await);
    let proxies = [("HTTPS_PROXY".to_owned(), format!("http://{dead}"))];
    let proxies: Vec<(&str, &str)> =
        proxies.iter().map(|(name, url)| (name.as_str(), url.as_str())).collect();
    for (upstream, target) in [
        (upstream(&[]), format!("base_url: 'https://{silent}'")),
        (upstream(&proxies), "base_url: 'https://target.test'".to_owned()),
    ] {
        let mut call = Call::to(&target);
        call.connect = Duration::from_millis(50);
        let late = tokio::time::timeout(LONG, call.told(&upstream)).await.unwrap();
        assert!(matches!(late, Err(TargetError::ConnectTimeout { .. })), "{late:?}");
    }
}

#[tokio::test]
async fn a_target_that_has_a_connection_and_says_nothing_is_too_late_and_not_unreachable() {
    let mut call = Call::to(&format!("base_url: 'http://{}'", silence().await));
    // Long enough for a connection on a busy machine.
    call.answer = Duration::from_millis(500);
    let late = call.told(&upstream(&[])).await;
    assert!(matches!(late, Err(TargetError::Timeout { .. })), "{late:?}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = Call::to(&format!("base_url: 'http://{closed}'")).told(&upstream(&[])).await;
    assert!(matches!(refused, Err(TargetError::Unreachable { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_secret_target_is_reached_through_a_tunnel_that_knows_the_proxys_password_and_not_the_key() {
    for speech in [H2, H1] {
        let server = Server::start(speech).await;
        let proxy = TunnelProxy::start(server.address).await;
        for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let upstream = upstream(&[(variable, &format!("http://me:secret@{}", proxy.address))]);
            let call =
                Call::to("base_url: 'https://target.test/v1', ca_file: authority.pem, api_key: { env: A }");
            assert_eq!(call.told(&upstream).await.unwrap(), "well", "{variable}");
        }
        let heads = proxy.heads();
        assert_eq!(heads.len(), 4);
        for head in heads {
            let head = head.to_ascii_lowercase();
            assert!(head.starts_with("connect target.test:443 http/1.1\r\n"), "{head}");
            assert!(
                head.contains("proxy-authorization: basic bwu6c2vjcmv0\r\n") && !head.contains("key-"),
                "{head}"
            );
        }
        let seen = server.seen();
        assert!(seen.iter().all(|seen| !seen.headers.contains_key("proxy-authorization")), "{seen:?}");
        assert_eq!(seen[0].headers["authorization"], "Bearer key-A");
    }
}

#[tokio::test]
async fn a_plain_target_is_asked_for_in_the_words_of_its_proxy() {
    let proxy = Server::start(Speech::Clear).await;
    let upstream = upstream(&[("HTTP_PROXY", &format!("http://me:secret@{}", proxy.address))]);
    let call = Call::to("base_url: 'http://target.test:8000/v1'");
    assert_eq!(call.told(&upstream).await.unwrap(), "well");
    let seen = proxy.seen();
    assert_eq!(seen[0].uri, "http://target.test:8000/v1/chat/completions");
    assert_eq!(seen[0].headers["host"], "target.test:8000");
    assert_eq!(seen[0].headers["proxy-authorization"], "Basic bWU6c2VjcmV0");
}

#[tokio::test]
async fn this_machine_and_what_no_proxy_names_are_reached_straight() {
    let (server, proxy) = (Server::start(Speech::Clear).await, Server::start(Speech::Clear).await);
    let port = server.address.port();
    let all = format!("http://{}", proxy.address);
    let check = async |host: &str, no_proxy: &str, is_straight: bool| {
        let before = (server.seen().len(), proxy.seen().len());
        let upstream = upstream(&[("ALL_PROXY", &all), ("no_proxy", no_proxy)]);
        let call = Call::to(&format!("base_url: 'http://{host}:{port}'"));
        assert_eq!(call.told(&upstream).await.unwrap(), "well");
        let is_so = (server.seen().len() - before.0, proxy.seen().len() - before.1);
        assert_eq!(is_so, if is_straight { (1, 0) } else { (0, 1) }, "{host} but {no_proxy:?}");
    };
    check("127.0.0.1", "", true).await;
    check("localhost", "", true).await;
    // An address that leads to this machine without saying so.
    check("0.0.0.0", "", false).await;
    check("0.0.0.0", "0.0.0.0", true).await;
    check("0.0.0.0", "x.test, 0.0.0.0/8", true).await;
    check("0.0.0.0", "*", true).await;
    check("target.test", "other.test", false).await;
}

#[tokio::test]
async fn what_names_no_proxy_is_passed_over() {
    let server = Server::start(Speech::Clear).await;
    for value in ["", "ftp://proxy.test", "::::"] {
        let upstream = upstream(&[("HTTP_PROXY", value), ("HTTPS_PROXY", value)]);
        let call = Call::to(&format!("base_url: 'http://0.0.0.0:{}'", server.address.port()));
        assert_eq!(call.told(&upstream).await.unwrap(), "well", "{value}");
    }
}
