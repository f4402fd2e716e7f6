//! A store in a bucket of an S3 server, Amazon's or another. Blocking outside, with a tokio runtime of its own inside.
//! Does not try anything again (the retry decorator does) and never makes a bucket.

mod body;
mod bridge;
mod connect;
mod failure;
mod requests;
mod settings;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use self::bridge::Bridge;
use self::failure::Failure;
use self::requests::Requests;
use super::count::DELETE_BATCH;
use super::key::{check_key, check_prefix};
use super::{ErrorKind, ListPage, ObjectMeta, ObjectStore, Result, S3Location, StoreError, list_by_pages};

pub use settings::{S3Settings, ServerEncryption, StaticCredentials, UploadCheck};

/// Objects in a bucket, below a prefix.
pub struct S3Store {
    requests: Arc<Requests>,
    bridge: Bridge,
    described: String,
}

impl S3Store {
    /// Finds region and credentials and makes ready. Makes no request to the server, so neither it nor the bucket need
    /// exist.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] if there are no credentials, [`ErrorKind::Permanent`] for settings that cannot be.
    pub fn connect(location: &S3Location, settings: &S3Settings) -> Result<Self> {
        let described = location.to_string();
        let error = |failure: Failure| StoreError::new(failure.kind, "open", "", &described, failure.message);
        let no_runtime = |why: String| error(Failure::new(ErrorKind::Permanent, format!("no threads for it: {why}")));
        let bridge = Bridge::new().map_err(|e| no_runtime(e.to_string()))?;
        let (wanted, how) = (location.clone(), settings.clone());
        let connected = bridge.run(async move { connect::connect(&wanted, &how).await });
        let (client, place) = connected.ok_or_else(|| no_runtime("one of them panicked".to_owned()))?.map_err(error)?;
        let prefix = if location.prefix.is_empty() { String::new() } else { format!("{}/", location.prefix) };
        let requests = Requests {
            client,
            place,
            settings: settings.clone(),
            prefix,
            answered: AtomicBool::new(false),
            no_conditions: AtomicBool::new(false),
            no_multi_delete: AtomicBool::new(false),
        };
        Ok(Self { requests: Arc::new(requests), bridge, described })
    }

    /// Runs one request and says of a failure which call it was.
    fn run<T, F>(&self, operation: &'static str, key: &str, work: impl FnOnce(Arc<Requests>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = std::result::Result<T, Failure>> + Send + 'static,
    {
        let answer = self.bridge.run(work(self.requests.clone()));
        answer
            .unwrap_or_else(|| Err(Failure::new(ErrorKind::Permanent, "the S3 client panicked")))
            .map_err(|failure| StoreError::new(failure.kind, operation, key, &self.described, failure.message))
    }

    fn check(&self, operation: &'static str, key: &str) -> Result<String> {
        check_key(operation, key, || self.describe())?;
        Ok(key.to_owned())
    }
}

impl ObjectStore for S3Store {
    fn put(&self, key: &str, body: Bytes) -> Result<()> {
        let name = self.check("put", key)?;
        self.run("put", key, |s3| async move { s3.put(&name, body, false).await })
    }

    fn put_new(&self, key: &str, body: Bytes) -> Result<bool> {
        let name = self.check("put", key)?;
        self.run("put", key, |s3| async move { s3.put_new(&name, body).await })
    }

    fn get(&self, key: &str) -> Result<Bytes> {
        let name = self.check("get", key)?;
        self.run("get", key, |s3| async move { s3.get(&name, None).await })
    }

    fn get_range(&self, key: &str, offset: u64, len_bytes: u64) -> Result<Bytes> {
        let name = self.check("get", key)?;
        if len_bytes == 0 {
            let message = "a range of no bytes was asked for";
            return Err(StoreError::new(ErrorKind::Permanent, "get", key, &self.described, message));
        }
        self.run("get", key, |s3| async move { s3.get(&name, Some((offset, len_bytes))).await })
    }

    /// A bucket that does not exist cannot be told from an object that does not: HEAD has no words.
    fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let name = self.check("head", key)?;
        self.run("head", key, |s3| async move { s3.head(&name).await })
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectMeta)) -> Result<()> {
        list_by_pages(|next| self.list_page(prefix, next), each)
    }

    fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        check_prefix(prefix, || self.describe())?;
        let (under, next) = (prefix.to_owned(), next.map(str::to_owned));
        self.run("list", prefix, |s3| async move { s3.list_page(&under, next).await })
    }

    fn delete(&self, key: &str) -> Result<()> {
        let name = self.check("delete", key)?;
        self.run("delete", key, |s3| async move { s3.delete(&name).await })
    }

    fn delete_many(&self, keys: &[String]) -> Result<()> {
        keys.iter().try_for_each(|key| self.check("delete", key).map(|_| ()))?;
        keys.chunks(DELETE_BATCH).try_for_each(|batch| {
            let (first, names) = (batch.first().map_or("", String::as_str), batch.to_vec());
            self.run("delete", first, |s3| async move { s3.delete_batch(&names).await })
        })
    }

    fn describe(&self) -> String {
        self.described.clone()
    }

    fn is_local(&self) -> bool {
        false
    }
}
