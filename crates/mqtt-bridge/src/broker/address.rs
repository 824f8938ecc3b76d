//! Where a broker is.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// Where a broker is: `mqtt://host:1883`, or with TLS `mqtts://host:8883`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// 1883, or with TLS 8883, unless given.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let wanted = "it looks like mqtt://127.0.0.1:1883 or mqtts://broker.example:8883";
        let url: Uri = text.parse().map_err(|error| format!("{error}: {wanted}"))?;
        let tls = match url.scheme_str() {
            Some("mqtt") => false,
            Some("mqtts") => true,
            _ => return Err(wanted.to_owned()),
        };
        let host = url.host().filter(|host| !host.is_empty()).ok_or(wanted)?;
        if url
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(
                "the name and the password are MQTT_USER and MQTT_PASSWORD: leave them out here"
                    .to_owned(),
            );
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(format!("nothing stands behind the port: {wanted}"));
        }
        Ok(Address {
            host: host.to_owned(),
            port: url.port_u16().unwrap_or(if tls { 8883 } else { 1883 }),
            tls,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_may_have_a_port() {
        for (text, shown) in [
            ("mqtt://127.0.0.1", "mqtt://127.0.0.1:1883"),
            ("mqtts://broker.example/", "mqtts://broker.example:8883"),
            ("mqtt://[::1]:1884", "mqtt://[::1]:1884"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "localhost:1883",
            "tcp://a",
            "mqtt://",
            "mqtt://u:p@host",
            "mqtt://host/topic",
            "mqtt://host?x=1",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
