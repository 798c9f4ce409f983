//! Makes a source of a finished broadcast: its packs, joined into one file.

use super::{Error, Worker};
use crate::catalogue::pack::{self, Pack};
use crate::catalogue::upload::Upload;
use crate::catalogue::{broadcast, rung};
use crate::domain::{Nonce, VideoId};
use crate::media;
use crate::media::recording::Joint;
use crate::publishing::pack_key;
use crate::storage::{Folder, Key};

/// A rendition of a recording.
struct Rendition {
    name: String,
    /// Numbers of its initialisation segments, as they follow each other, each with the nonce in its name.
    inits: Vec<(u32, Option<Nonce>)>,
}

impl Worker {
    /// The file is written anew after a crash: nothing points at it before it is whole.
    pub(super) async fn join_recording(&self, upload: &Upload) -> Result<(), Error> {
        let publishing = &self.publishing;
        let mut read = publishing.db.read().await?;
        let video = upload.video_id.ok_or(Error::Gone("video"))?;
        let found = broadcast::find_by_video(read.conn(), video).await?;
        let number = found.and_then(|broadcast| u32::try_from(broadcast.revision?).ok());
        let id = (video, number.ok_or(Error::Gone("recording"))?);
        let rungs = rung::list(read.conn(), id.0, id.1).await?;
        let mut packs = pack::list(read.conn(), id, None).await?;
        drop(read);
        // The source's own pictures, and the sound; lower rungs are made of them.
        let kept = rungs.into_iter().filter(|rung| rung.audio || rung.position == 0).map(|rung| rung.name);
        let renditions =
            kept.map(|name| rendition(name, &packs)).filter(|rendition| !rendition.inits.is_empty());
        let renditions: Vec<Rendition> = renditions.collect();
        packs.retain(|pack| renditions.iter().any(|rendition| rendition.name == pack.rung));
        // Within a segment pictures come first, by the order of the rungs.
        packs.sort_by_key(|pack| pack.first_segment);
        self.join_packs(upload, id, (&renditions, &packs)).await?;
        // A node that died between a segment's object and its row left the object; no row can follow any more.
        Ok(publishing.sweep_revision(id.0, id.1).await?)
    }

    async fn join_packs(
        &self,
        upload: &Upload,
        id: (VideoId, u32),
        (renditions, packs): (&[Rendition], &[Pack]),
    ) -> Result<(), Error> {
        let (publishing, storage) = (&self.publishing, &self.publishing.storage);
        let mut inits = Vec::new();
        for rendition in renditions {
            let mut own = Vec::new();
            for (number, nonce) in &rendition.inits {
                let folder = Folder { nonce: *nonce, ..Folder::from(id) };
                own.push(storage.read_all(&Key::init_of(folder, &rendition.name, *number)).await?);
            }
            inits.push(own);
        }
        let (mut joint, head) = Joint::begin(&inits).map_err(media::Error::from)?;
        let mut file = publishing.begin_joint(upload).await?;
        file.write(head).await?;
        for pack in packs {
            let Some(place) = place_of(pack, renditions) else { continue };
            let bytes = storage.read_all(&pack_key(id, pack)).await?;
            file.write(joint.segment(place, &bytes).map_err(media::Error::from)?).await?;
        }
        let (foot, size_bytes) = joint.end().map_err(media::Error::from)?;
        file.write(foot).await?;
        let sha256 = file.close().await?;
        Ok(publishing.finish_upload(upload, size_bytes, Some(&sha256)).await?)
    }
}

fn rendition(name: String, packs: &[Pack]) -> Rendition {
    let mut inits = Vec::new();
    for pack in packs.iter().filter(|pack| pack.rung == name) {
        let init = number(pack.init);
        if inits.iter().all(|(known, _)| *known != init) {
            inits.push((init, pack.nonce));
        }
    }
    Rendition { name, inits }
}

fn place_of(pack: &Pack, renditions: &[Rendition]) -> Option<(usize, usize)> {
    let at = renditions.iter().position(|rendition| rendition.name == pack.rung)?;
    let init = renditions[at].inits.iter().position(|(init, _)| *init == number(pack.init))?;
    Some((at, init))
}

fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
