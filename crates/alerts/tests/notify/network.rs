//! Over real sockets: a webhook, and a mail server.

use std::path::Path;
use std::sync::Arc;

use alerts::notify::{Network, NotifySources, Smtp, Transport, notify_test, read_notify};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

async fn told(text: &str, receiver: &str) -> Vec<(bool, String)> {
    let sources = NotifySources {
        external_url: "http://here",
        folder: Path::new("/"),
        variable: &|_| None,
    };
    let routing = read_notify("notify.yml", text, &sources).unwrap();
    let network = Network::new().unwrap();
    let tested = notify_test(&routing, receiver, &network, 1_795_737_600_000)
        .await
        .unwrap();
    tested
        .into_iter()
        .map(|tested| (tested.is_delivered, tested.answer))
        .collect()
}

#[tokio::test]
async fn a_webhook_is_told_over_http_and_its_answer_is_kept() {
    let taken: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let keep = taken.clone();
    let take = async move |headers: HeaderMap, body: String| {
        let id = headers["idempotency-key"].to_str().unwrap().to_owned();
        keep.lock().await.push((id, body));
        (StatusCode::ACCEPTED, "thanks")
    };
    let routes = Router::new()
        .route("/hook", post(take))
        .route("/endless", post(async || "x".repeat(1 << 22)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let config = |path: &str| {
        format!(
            "route: {{ receiver: r }}\nreceivers: [{{ name: r, webhook_configs: [{{ url: 'http://{address}/{path}' }}] }}]"
        )
    };
    let all = told(&config("hook"), "r").await;
    assert_eq!(
        all,
        [
            (true, "202 thanks".to_owned()),
            (true, "202 thanks".to_owned())
        ]
    );
    let taken = taken.lock().await;
    assert!(
        taken[0]
            .1
            .starts_with(r#"{"receiver":"r","status":"firing""#),
        "{}",
        taken[0].1
    );
    assert!(
        taken[1]
            .1
            .starts_with(r#"{"receiver":"r","status":"resolved""#)
    );
    assert_ne!(taken[0].0, taken[1].0);
    let all = told(&config("endless"), "r").await;
    assert!(
        all[0].0 && all[0].1.len() < 1 << 20,
        "an answer without end is not read to its end"
    );
    let nobody = "route: { receiver: r }\nreceivers: [{ name: r, webhook_configs: [{ url: 'http://127.0.0.1:1/' }] }]";
    let all = told(nobody, "r").await;
    assert!(!all[0].0 && all[0].1.contains("refused"), "{all:?}");
}

/// Speaks enough SMTP to take mails.
async fn mail_server(listener: TcpListener, mails: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 here\r\n").await.unwrap();
        let mut mail = None;
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(text) = &mut mail {
                if line == "." {
                    mails.lock().await.push(std::mem::take(text));
                    mail = None;
                    write.write_all(b"250 queued as 7\r\n").await.unwrap();
                } else {
                    *text += &format!("{line}\n");
                }
                continue;
            }
            let answer = match line.get(..4).unwrap_or_default() {
                "EHLO" => "250-here\r\n250 8BITMIME\r\n",
                "DATA" => {
                    mail = Some(String::new());
                    "354 go on\r\n"
                }
                "MAIL" if line.contains("stranger") => "530 who are you\r\n",
                "RCPT" if line.contains("nobody") => "550 no such user\r\n",
                "QUIT" => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            write.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_mail_is_sent_and_a_refused_one_is_told() {
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(mail_server(listener, mails.clone()));
    let config = |to: &str| {
        format!(
            "route: {{ receiver: r }}\nreceivers:\n  - name: r\n    email_configs:\n      - {{ to: {to}, \
             from: alerts@example.com, smarthost: '{address}', require_tls: false }}\n"
        )
    };
    let all = told(&config("me@example.com"), "r").await;
    assert_eq!(all[0], (true, "250 queued as 7".to_owned()));
    let mails = mails.lock().await;
    assert!(
        mails[0].contains("Subject: [FIRING:1] HeadwaterTest (info)"),
        "{}",
        mails[0]
    );
    assert!(mails[1].contains("In-Reply-To: <"), "{}", mails[1]);
    let all = told(&config("nobody@example.com"), "r").await;
    assert!(!all[0].0 && all[0].1.contains("no such user"), "{all:?}");
    // What the server holds against us is no fault of the mail.
    let smtp = Smtp {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        hello: None,
        user: None,
        require_tls: false,
    };
    let mail = |from: &str, to: &str| {
        let mail = lettre::Message::builder().from(from.parse().unwrap());
        mail.to(to.parse().unwrap()).body(String::new()).unwrap()
    };
    let network = Network::new().unwrap();
    for (from, to, is_permanent) in [
        ("stranger@example.com", "me@example.com", false),
        ("alerts@example.com", "nobody@example.com", true),
    ] {
        let failure = network.mail(&smtp, mail(from, to)).await.unwrap_err();
        assert_eq!(failure.is_permanent, is_permanent, "{failure:?}");
    }
}
