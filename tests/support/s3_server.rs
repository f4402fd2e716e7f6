//! A real S3 server inside the test process, on a free port of the loopback, with its objects in a temporary directory.
//! Checks signatures. Its conditional writes are racy and its keys are bounded by the names of its files.

use std::net::SocketAddr;
use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder as Connections;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use ssb::store::{S3Location, S3Settings, StaticCredentials};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub const ACCESS_KEY: &str = "AKIDTESTTESTTEST";
pub const SECRET_KEY: &str = "a-secret-that-no-error-may-show";
pub const BUCKET: &str = "test-bucket";

/// Runs until it is dropped.
pub struct S3Server {
    address: SocketAddr,
    root: TempDir,
    runtime: Option<Runtime>,
}

impl S3Server {
    /// Starts with one empty bucket, [`BUCKET`].
    pub fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let service = {
            let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            builder.build()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that hangs up is the client's business.
                    let _ =
                        Connections::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, root, runtime: Some(runtime) }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the bucket's objects lie as files, to look at them or to damage them.
    pub fn bucket_dir(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }

    /// [`BUCKET`] on this server, below `prefix`.
    pub fn location(&self, prefix: &str) -> S3Location {
        location(&self.endpoint(), BUCKET, prefix)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub fn location(endpoint: &str, bucket: &str, prefix: &str) -> S3Location {
    S3Location {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: None,
    }
}

/// Settings with the credentials of every [`S3Server`].
pub fn settings() -> S3Settings {
    settings_with(ACCESS_KEY, SECRET_KEY)
}

pub fn settings_with(access_key: &str, secret_key: &str) -> S3Settings {
    let credentials = StaticCredentials {
        access_key_id: access_key.to_owned(),
        secret_access_key: secret_key.to_owned(),
        session_token: None,
    };
    S3Settings { credentials: Some(credentials), ..Default::default() }
}
