//! Addresses that let whoever holds them do one thing with one object for a while.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use super::multipart::part_number;
use super::{Error, Key, MultipartId, Storage};

/// S3 signs for a week at most.
const EXPIRES_MAX: Duration = Duration::from_hours(7 * 24);

impl Storage {
    /// An address to PUT part `number` to; where a length is given in bytes, a body of another length is refused.
    pub async fn presign_part(
        &self,
        (key, id, number): (&Key, &MultipartId, u32),
        length: Option<u64>,
        expires: Duration,
    ) -> Result<String, Error> {
        let request = self.public.upload_part().bucket(&*self.bucket).key(key.as_str()).upload_id(&id.0);
        let length = length.and_then(|length| i64::try_from(length).ok());
        let request = request.part_number(part_number(number)).set_content_length(length);
        let signed = request.presigned(config(expires)?).await;
        signed.map(|signed| uri(&signed)).map_err(|error| self.asked(key.as_str()).refused(error))
    }

    /// An address to GET the object from, also by range.
    pub async fn presign_get(&self, key: &Key, expires: Duration) -> Result<String, Error> {
        let request = self.public.get_object().bucket(&*self.bucket).key(key.as_str());
        let signed = request.presigned(config(expires)?).await;
        signed.map(|signed| uri(&signed)).map_err(|error| self.asked(key.as_str()).refused(error))
    }

    /// An address to PUT the whole object to.
    pub async fn presign_put(&self, key: &Key, expires: Duration) -> Result<String, Error> {
        let request = self.public.put_object().bucket(&*self.bucket).key(key.as_str());
        let signed = request.presigned(config(expires)?).await;
        signed.map(|signed| uri(&signed)).map_err(|error| self.asked(key.as_str()).refused(error))
    }
}

fn config(expires: Duration) -> Result<PresigningConfig, Error> {
    PresigningConfig::expires_in(expires.min(EXPIRES_MAX)).map_err(Error::unavailable)
}

fn uri(signed: &PresignedRequest) -> String {
    signed.uri().to_owned()
}
