//! Addresses that let whoever holds them do one thing with one object for a while.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use super::multipart::part_number;
use super::{Error, Key, MultipartId, Storage};

/// S3 signs for a week at most.
const EXPIRES_MAX: Duration = Duration::from_hours(7 * 24);

impl Storage {
    /// An address to PUT part `number` to.
    pub async fn presign_part(
        &self,
        key: &Key,
        id: &MultipartId,
        number: u32,
        expires: Duration,
    ) -> Result<String, Error> {
        let request = self.public.upload_part().bucket(&*self.bucket).key(key.as_str()).upload_id(&id.0);
        let signed = request.part_number(part_number(number)).presigned(config(expires)?).await;
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
