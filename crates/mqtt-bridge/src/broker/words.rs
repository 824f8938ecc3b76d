//! What the broker and the client say, in words with what to do about it.

use rumqttc::TlsError;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, SubscribeReasonCode};
use rumqttc::v5::{ConnectionError, StateError};

/// Why there is no connection: a code for the readiness, and words.
pub(super) fn lost(error: &ConnectionError, client_id: &str) -> (&'static str, String) {
    match error {
        ConnectionError::Timeout(_) => {
            let within = super::CONNECT_WITHIN.as_secs();
            (
                "broker_unreachable",
                format!("no connection within {within} s"),
            )
        }
        ConnectionError::Io(error) => ("broker_unreachable", error.to_string()),
        ConnectionError::Tls(TlsError::Io(error)) => {
            let said = format!(
                "{error}; CA_FILE names the CA of the broker, where it is not one of the system's"
            );
            ("broker_tls", said)
        }
        ConnectionError::Tls(error) => ("broker_tls", error.to_string()),
        ConnectionError::ConnectionRefused(code) => ("broker_refuses", refused(*code)),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => {
            let said = reason_string.as_deref().unwrap_or_default();
            let advice = match reason_code {
                DisconnectReasonCode::SessionTakenOver => {
                    format!(
                        "; another client is `{client_id}`: give each bridge a CLIENT_ID of its own"
                    )
                }
                _ => String::new(),
            };
            (
                "broker_disconnects",
                format!("the broker ends the connection: {reason_code:?} {said}{advice}"),
            )
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => (
            "broker_unreachable",
            "the broker answers no ping".to_owned(),
        ),
        ConnectionError::MqttState(StateError::Io(error)) => {
            ("broker_unreachable", error.to_string())
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => {
            ("broker_unreachable", error.to_string())
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => (
            "broker_unreachable",
            "the broker has closed the connection".to_owned(),
        ),
        other => ("broker_unreachable", other.to_string()),
    }
}

/// Why the broker takes no connection.
fn refused(code: ConnectReturnCode) -> String {
    let advice = match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            ": set MQTT_USER and MQTT_PASSWORD"
        }
        ConnectReturnCode::UnsupportedProtocolVersion
        | ConnectReturnCode::RefusedProtocolVersion => ": it has to speak MQTT 5",
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => {
            ": it does not take the CLIENT_ID"
        }
        _ => "",
    };
    format!("the broker refuses the connection, {code:?}{advice}")
}

/// Whether another try would be refused too, until settings are changed.
pub(super) fn is_final(error: &ConnectionError) -> bool {
    use ConnectReturnCode as Code;
    matches!(
        error,
        ConnectionError::ConnectionRefused(
            Code::BadUserNamePassword
                | Code::NotAuthorized
                | Code::BadClientId
                | Code::ClientIdentifierNotValid
                | Code::UnsupportedProtocolVersion
                | Code::RefusedProtocolVersion
                | Code::BadAuthenticationMethod
                | Code::Banned
        )
    )
}

/// Why a subscription is refused.
pub(super) fn unsubscribed(filter: &str, code: &SubscribeReasonCode) -> String {
    let advice = match code {
        SubscribeReasonCode::NotAuthorized => ": give this user the right to read it",
        SubscribeReasonCode::SharedSubscriptionsNotSupported => ": leave SHARE out",
        _ => "",
    };
    format!("the broker refuses the subscription to `{filter}`, {code:?}{advice}")
}
