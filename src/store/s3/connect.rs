//! Builds the S3 client: region, credentials, endpoint, TLS. Makes no request to the S3 server, but finds the
//! credentials, so that their lack is told at once and not by the first of many threads.

use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, proxy::ProxyConfig};

use super::failure::{Failure, NO_CREDENTIALS, Place, root_cause};
use super::settings::S3Settings;
use crate::store::location::without_userinfo;
use crate::store::{ErrorKind, S3Location};

/// What a server that is not Amazon's is told if nobody says anything else; most of them do not care.
const DEFAULT_REGION: &str = "us-east-1";

/// A machine without a metadata service must not wait for it.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// A client and the names for its errors.
pub(super) async fn connect(location: &S3Location, settings: &S3Settings) -> Result<(Client, Place), Failure> {
    let looked_for = find_all(location, settings);
    match tokio::time::timeout(settings.credentials_timeout, looked_for).await {
        Ok(found) => found,
        Err(_) => Err(Failure::new(ErrorKind::Denied, format!("{NO_CREDENTIALS}; one of them did not answer in time"))),
    }
}

async fn find_all(location: &S3Location, settings: &S3Settings) -> Result<(Client, Place), Failure> {
    let http = http_client(settings)?;
    let endpoint = location.endpoint.clone();
    let region = find_region(location, settings, endpoint.is_some()).await;
    let provider = credentials_provider(settings, &region).await;
    let found = provider.provide_credentials().await.map_err(|e| credentials_failure(&e))?;

    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .credentials_provider(provider)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(settings.connect_timeout).build())
        .http_client(http)
        // Streamed trailers break several servers; the bodies are in memory and carry a plain header instead.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    let shared = loader.load().await;

    // A profile may name an endpoint too.
    let endpoint = endpoint.or_else(|| shared.endpoint_url().map(str::to_owned));
    let mut config = aws_sdk_s3::config::Builder::from(&shared);
    if let Some(endpoint) = &endpoint {
        check_endpoint(endpoint)?;
        config = config.endpoint_url(endpoint);
    }
    config = config.force_path_style(location.path_style.unwrap_or(endpoint.is_some()));
    let place = Place {
        bucket: location.bucket.clone(),
        host: host(endpoint.as_deref(), &region),
        region: region.to_string(),
        access_key_id: found.access_key_id().to_owned(),
    };
    Ok((Client::from_conf(config.build()), place))
}

fn check_endpoint(endpoint: &str) -> Result<(), Failure> {
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    match rest.map(|rest| rest.trim_end_matches('/')) {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => Ok(()),
        _ => {
            let shown = without_userinfo(endpoint);
            let message = format!("the endpoint '{shown}' is not a URL that starts with http:// or https://");
            Err(Failure::new(ErrorKind::Permanent, message))
        }
    }
}

/// Host and port of the endpoint, without a user or a password that somebody wrote into it.
fn host(endpoint: Option<&str>, region: &Region) -> String {
    match endpoint {
        Some(endpoint) => {
            let clean = without_userinfo(endpoint);
            let rest = clean.split_once("://").map_or(clean.as_str(), |(_, rest)| rest);
            rest.split(['/', '?', '#']).next().unwrap_or(rest).to_owned()
        }
        None => format!("Amazon S3 in {region}"),
    }
}

async fn find_region(location: &S3Location, settings: &S3Settings, has_endpoint: bool) -> Region {
    if let Some(region) = &location.region {
        return Region::new(region.clone());
    }
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    let mut chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build());
    // Only a machine at Amazon can ask where it is, and only for a bucket at Amazon does it matter.
    if !has_endpoint {
        chain = chain.or_else(imds::region::ImdsRegionProvider::builder().imds_client(metadata_client()).build());
    }
    chain.region().await.unwrap_or(Region::new(DEFAULT_REGION))
}

fn metadata_client() -> imds::Client {
    imds::Client::builder()
        .connect_timeout(METADATA_TIMEOUT)
        .read_timeout(METADATA_TIMEOUT)
        .operation_attempt_timeout(METADATA_TIMEOUT)
        .operation_timeout(METADATA_TIMEOUT * 2)
        .max_attempts(1)
        .build()
}

async fn credentials_provider(settings: &S3Settings, region: &Region) -> SharedCredentialsProvider {
    if let Some(given) = &settings.credentials {
        return SharedCredentialsProvider::new(Credentials::new(
            &given.access_key_id,
            &given.secret_access_key,
            given.session_token.clone(),
            None,
            "settings",
        ));
    }
    let mut chain = DefaultCredentialsChain::builder().region(region.clone()).imds_client(metadata_client());
    if let Some(profile) = &settings.profile {
        chain = chain.profile_name(profile);
    }
    SharedCredentialsProvider::new(chain.build().await)
}

fn credentials_failure(error: &CredentialsError) -> Failure {
    let message = match error {
        CredentialsError::CredentialsNotLoaded(_) => NO_CREDENTIALS.to_owned(),
        _ => format!("{NO_CREDENTIALS}; one of them failed: {}", root_cause(error)),
    };
    Failure::new(ErrorKind::Denied, message)
}

/// The client's own HTTP stack with the system's authorities, those of the CA file, and the proxies of the environment.
fn http_client(settings: &S3Settings) -> Result<SharedHttpClient, Failure> {
    let mut trust = TrustStore::default();
    if let Some(path) = &settings.ca_file {
        let pem = std::fs::read(path).map_err(|e| {
            Failure::new(ErrorKind::Permanent, format!("the CA file '{}' cannot be read: {e}", path.display()))
        })?;
        trust.add_pem_certificate(pem);
    }
    let context = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|e| Failure::new(ErrorKind::Permanent, format!("the CA file cannot be used: {}", root_cause(&e))))?;
    Ok(aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .proxy_config(ProxyConfig::from_env())
            .enable_tcp_nodelay(true)
            .tls_context(context.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
        builder.build()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_checked_and_shown_without_passwords() {
        for good in ["http://127.0.0.1:9000", "https://s3.example.org/", "https://u:geheim@host:1/path"] {
            assert!(check_endpoint(good).is_ok(), "{good}");
        }
        for bad in ["", "host:9000", "ftp://host", "http://", "https:///", "http://a b", "u:geheim@host"] {
            let failure = check_endpoint(bad).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Permanent);
            assert!(!failure.message.contains("geheim"), "{}", failure.message);
        }
        let region = Region::new("eu-1");
        assert_eq!(host(Some("https://u:geheim@host:1/path"), &region), "host:1");
        assert_eq!(host(Some("http://[::1]:9000"), &region), "[::1]:9000");
        assert!(host(None, &region).contains("eu-1"));
    }
}
