//! The way to the broker: MQTT 5, with a session that outlives connections and this process. Messages come out, and are
//! acknowledged once they are told done.

mod address;
mod held;
mod session;
mod words;

use std::time::Duration;

use bytesize::ByteSize;
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use secrecy::{ExposeSecret, SecretString};
use sender::Trust;

pub use self::address::Address;
pub(crate) use self::held::Held;
pub(crate) use self::session::{Session, Way};

/// Longest time for a connection to the broker to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Which broker, as whom, and what is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct BrokerSettings {
    pub(crate) address: Address,
    pub(crate) client_id: String,
    pub(crate) login: Option<(String, SecretString)>,
    pub(crate) trust: Trust,
    /// As they are subscribed to, with a group in front where there is one.
    pub(crate) filters: Vec<String>,
    pub(crate) qos: QoS,
    /// How long the broker keeps the session of a bridge that is away.
    pub(crate) session_expiry: Duration,
    pub(crate) keep_alive: Duration,
    /// Most messages that the broker sends ahead of acknowledgements.
    pub(crate) receive_maximum: u16,
    /// Longest packet.
    pub(crate) max_message: ByteSize,
    /// Most bytes of messages in memory.
    pub(crate) max_held: ByteSize,
}

impl BrokerSettings {
    /// What the client is made of.
    ///
    /// # Errors
    ///
    /// If a file of certificates cannot be used.
    fn options(&self) -> std::io::Result<MqttOptions> {
        let Address { host, port, tls } = &self.address;
        let mut options = MqttOptions::new(&self.client_id, host, *port);
        let packet = u32::try_from(self.max_message.as_u64()).unwrap_or(u32::MAX);
        let expiry = u32::try_from(self.session_expiry.as_secs()).unwrap_or(u32::MAX);
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(expiry))
            .set_receive_maximum(Some(self.receive_maximum))
            .set_max_packet_size(Some(packet))
            .set_manual_acks(true)
            .set_keep_alive(self.keep_alive)
            .set_connection_timeout(CONNECT_WITHIN.as_secs());
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        if let Some((user, password)) = &self.login {
            options.set_credentials(user, password.expose_secret());
        }
        if *tls {
            let config = TlsConfiguration::Rustls(self.trust.config()?.into());
            options.set_transport(Transport::tls_with_config(config));
        }
        Ok(options)
    }
}
