//! One async function per S3 request: what is sent, how long it may take, what the answer means. Knows nothing of the
//! blocking calls above and of retries.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, ObjectIdentifier, ServerSideEncryption, StorageClass};
use bytes::Bytes;
use jiff::Timestamp;

use super::body::{check_content_range, content_md5, crc32, cut_range, read_whole, to_len};
use super::failure::{Failure, Place, classify, service_failure};
use super::settings::{S3Settings, ServerEncryption, UploadCheck};
use crate::store::key::is_key;
use crate::store::{ErrorKind, ListPage, ObjectMeta};

/// The last byte that a range may name.
const MAX_OFFSET: u64 = i64::MAX as u64 - 1;

type Answer<T> = Result<T, Failure>;

/// The client and what it has learnt about its server.
pub(super) struct Requests {
    pub(super) client: Client,
    pub(super) place: Place,
    pub(super) settings: S3Settings,
    /// Empty, or ends with a slash; stands before every key.
    pub(super) prefix: String,
    /// The server has answered something.
    pub(super) answered: AtomicBool,
    /// The server has refused `If-None-Match` as unknown to it.
    pub(super) no_conditions: AtomicBool,
    /// The server has refused to delete many objects at once.
    pub(super) no_multi_delete: AtomicBool,
}

impl Requests {
    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// How long a request with a body of so many bytes may take.
    fn time_limit(&self, body_bytes: u64) -> Duration {
        let first = !self.answered.load(Ordering::Relaxed);
        let base = if first { self.settings.first_answer_timeout } else { self.settings.request_timeout };
        base + Duration::from_secs(body_bytes / self.settings.min_bytes_per_s.max(1))
    }

    async fn in_time<T>(&self, body_bytes: u64, work: impl Future<Output = T>) -> Answer<T> {
        let limit = self.time_limit(body_bytes);
        tokio::time::timeout(limit, work).await.map_err(|_| {
            let message = format!("{} did not answer within {} s", self.place.host, limit.as_secs_f32());
            Failure::new(ErrorKind::Unreachable, message)
        })
    }

    async fn send<T, E>(
        &self,
        body_bytes: u64,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Answer<T>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let answer = self.in_time(body_bytes, request).await?.map_err(|error| classify(&error, &self.place));
        if !answer.as_ref().is_err_and(|failure| failure.kind == ErrorKind::Unreachable) {
            self.answered.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Writes an object; with `only_new` the server answers status 412 if it exists.
    pub(super) async fn put(&self, key: &str, body: Bytes, only_new: bool) -> Answer<()> {
        let len = body.len() as u64;
        let mut request = self.client.put_object().bucket(&self.place.bucket).key(self.full_key(key));
        request = match self.settings.upload_check {
            UploadCheck::Crc32 => request.checksum_crc32(crc32(&body)),
            UploadCheck::ContentMd5 => request.content_md5(content_md5(&body)),
        };
        if only_new {
            request = request.if_none_match("*");
        }
        if let Some(class) = self.settings.storage_class(key) {
            request = request.storage_class(StorageClass::from(class));
        }
        request = match &self.settings.encryption {
            None => request,
            Some(ServerEncryption::Aes256) => request.server_side_encryption(ServerSideEncryption::Aes256),
            Some(ServerEncryption::Kms { key_id }) => {
                request.server_side_encryption(ServerSideEncryption::AwsKms).set_ssekms_key_id(key_id.clone())
            }
        };
        let sent = self.send(len, request.body(ByteStream::from(body)).send()).await;
        // Where an object is written, only the bucket can be what was not found.
        sent.map(|_| ()).map_err(|failure| self.not_found_is_bucket(failure))
    }

    /// Writes an object unless it exists.
    pub(super) async fn put_new(&self, key: &str, body: Bytes) -> Answer<bool> {
        if self.no_conditions.load(Ordering::Relaxed) {
            return self.put(key, body, false).await.map(|()| true);
        }
        match self.put(key, body.clone(), true).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.status == 412 => Ok(false),
            // Somebody else is writing it at this moment, or deleting it. Only if it is there now is that an answer.
            Err(failure) if failure.status == 409 => match self.head(key).await? {
                Some(_) => Ok(false),
                None => Err(Failure { kind: ErrorKind::Transient, ..failure }),
            },
            // Some servers refuse before they have read the body, and hang up; of that the client sees only a broken
            // connection, with a large body every time. If the object is there, that was the answer, or ours was lost.
            Err(failure) if failure.broke_off => match self.head(key).await {
                Ok(Some(_)) => Ok(false),
                // Most likely it answered the write likewise; that says more than a broken pipe.
                Err(said) if said.kind == ErrorKind::Transient => Err(said),
                _ => Err(failure),
            },
            Err(failure) if failure.is_not_implemented() => {
                self.no_conditions.store(true, Ordering::Relaxed);
                self.put(key, body, false).await.map(|()| true)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The whole object, or `range` (offset and length, not 0) of it.
    pub(super) async fn get(&self, key: &str, range: Option<(u64, u64)>) -> Answer<Bytes> {
        let mut request = self.client.get_object().bucket(&self.place.bucket).key(self.full_key(key));
        if let Some((offset, len)) = range {
            // Servers count in signed 64 bits and call what is beyond a malformed request.
            let (first, last) = (offset.min(MAX_OFFSET), offset.saturating_add(len - 1).min(MAX_OFFSET));
            request = request.range(format!("bytes={first}-{last}"));
        }
        let answer = self.send(0, request.send()).await?;
        let len = to_len(answer.content_length);
        if let (Some((offset, len)), Some(content_range)) = (range, &answer.content_range) {
            // Before the body is read: a range beyond the end would bring all the rest of the object.
            check_content_range(content_range, offset, len)?;
        }
        let body = self.in_time(len.unwrap_or(0), read_whole(answer.body, len)).await??;
        match range {
            None => Ok(body),
            Some((offset, len)) => cut_range(body, answer.content_range.is_some(), offset, len),
        }
    }

    pub(super) async fn head(&self, key: &str) -> Answer<Option<ObjectMeta>> {
        let request = self.client.head_object().bucket(&self.place.bucket).key(self.full_key(key));
        match self.send(0, request.send()).await {
            Ok(answer) => self.meta(key, answer.content_length, answer.last_modified.as_ref()).map(Some),
            Err(failure) if failure.kind == ErrorKind::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn list_page(&self, prefix: &str, next: Option<String>) -> Answer<ListPage> {
        let full_prefix = self.full_key(prefix);
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.place.bucket)
            .set_prefix(Some(full_prefix).filter(|p| !p.is_empty()))
            .set_continuation_token(next.clone());
        let answer = self.send(0, request.send()).await.map_err(|failure| self.not_found_is_bucket(failure))?;
        let mut objects = Vec::new();
        for object in answer.contents() {
            let key = object.key().and_then(|key| key.strip_prefix(&self.prefix));
            // Other things may lie in the bucket, such as the marks for folders that web consoles leave.
            let Some(key) = key.filter(|key| is_key(key) && key.starts_with(prefix)) else { continue };
            objects.push(self.meta(key, object.size, object.last_modified())?);
        }
        let next_page = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
        if answer.is_truncated == Some(true) && (next_page.is_none() || next_page == next) {
            let message = format!("the listing of {} is cut off and does not say where it goes on", self.place.host);
            return Err(Failure::new(ErrorKind::Permanent, message));
        }
        Ok(ListPage { objects, next: next_page })
    }

    pub(super) async fn delete(&self, key: &str) -> Answer<()> {
        let request = self.client.delete_object().bucket(&self.place.bucket).key(self.full_key(key));
        match self.send(0, request.send()).await {
            Err(failure) if failure.kind != ErrorKind::NotFound => Err(failure),
            _ => Ok(()),
        }
    }

    /// Deletes up to 1,000 objects with one request, or with one each where the server cannot.
    pub(super) async fn delete_batch(&self, keys: &[String]) -> Answer<()> {
        if !self.no_multi_delete.load(Ordering::Relaxed) {
            match self.delete_together(keys).await {
                Err(failure) if failure.is_not_implemented() => self.no_multi_delete.store(true, Ordering::Relaxed),
                other => return other,
            }
        }
        for key in keys {
            self.delete(key).await?;
        }
        Ok(())
    }

    async fn delete_together(&self, keys: &[String]) -> Answer<()> {
        let invalid = |e: &dyn std::fmt::Display| Failure::new(ErrorKind::Permanent, e.to_string());
        let mut delete = Delete::builder().quiet(true);
        for key in keys {
            let object = ObjectIdentifier::builder().key(self.full_key(key)).build().map_err(|e| invalid(&e))?;
            delete = delete.objects(object);
        }
        let delete = delete.build().map_err(|e| invalid(&e))?;
        // Some servers want this request to carry a Content-MD5, which the client has no setting for.
        let request =
            self.client.delete_objects().bucket(&self.place.bucket).delete(delete).customize().mutate_request(
                |request| {
                    if let Some(md5) = request.body().bytes().map(content_md5) {
                        request.headers_mut().insert("content-md5", md5);
                    }
                },
            );
        let answer = self.send(0, request.send()).await.map_err(|failure| self.not_found_is_bucket(failure))?;
        for error in answer.errors() {
            let code = error.code().unwrap_or_default();
            let failure = service_failure(200, code, error.message().unwrap_or_default(), None, &self.place);
            if failure.kind != ErrorKind::NotFound {
                return Err(failure);
            }
        }
        Ok(())
    }

    fn not_found_is_bucket(&self, failure: Failure) -> Failure {
        if failure.kind == ErrorKind::NotFound {
            service_failure(failure.status, "NoSuchBucket", "", None, &self.place)
        } else {
            failure
        }
    }

    fn meta(&self, key: &str, size: Option<i64>, modified: Option<&DateTime>) -> Answer<ObjectMeta> {
        let size_bytes = to_len(size);
        let modified = modified.and_then(|at| Timestamp::new(at.secs(), at.subsec_nanos().try_into().ok()?).ok());
        match (size_bytes, modified) {
            (Some(size_bytes), Some(modified)) => Ok(ObjectMeta { key: key.to_owned(), size_bytes, modified }),
            _ => {
                let message = format!("{} does not tell the size and the time of an object", self.place.host);
                Err(Failure::new(ErrorKind::Permanent, message))
            }
        }
    }
}
