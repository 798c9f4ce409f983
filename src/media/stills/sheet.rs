//! The storyboard's one sheet: tiles put side by side.

use ffmpeg_next::{format, frame};

use crate::media::task::Storyboard;

/// A sheet being filled.
pub(super) struct Sheet {
    picture: frame::Video,
    tile: (usize, usize),
    columns: usize,
}

impl Sheet {
    /// A black sheet.
    pub fn blank(storyboard: &Storyboard) -> Self {
        let columns = storyboard.columns.max(1);
        let rows = storyboard.tiles.max(1).div_ceil(columns);
        let tile = (storyboard.tile_width.max(2) & !1, storyboard.tile_height.max(2) & !1);
        let mut picture = frame::Video::new(format::Pixel::YUV420P, columns * tile.0, rows * tile.1);
        for (plane, black) in [16, 128, 128].into_iter().enumerate() {
            picture.data_mut(plane).fill(black);
        }
        Self { picture, tile: (tile.0 as usize, tile.1 as usize), columns: columns as usize }
    }

    /// Puts a tile in its place; nothing where there is no picture for it.
    pub fn put(&mut self, tile: u32, picture: Option<&frame::Video>) {
        let Some(picture) = picture else { return };
        let (column, row) = (tile as usize % self.columns, tile as usize / self.columns);
        for plane in 0..3 {
            let half = usize::from(plane > 0);
            let (width, height) = (self.tile.0 >> half, self.tile.1 >> half);
            let (from_stride, to_stride) = (picture.stride(plane), self.picture.stride(plane));
            let (from, to) = (picture.data(plane), self.picture.data_mut(plane));
            for line in 0..height {
                let begin = (row * height + line) * to_stride + column * width;
                let source = from.get(line * from_stride..line * from_stride + width);
                if let (Some(to), Some(from)) = (to.get_mut(begin..begin + width), source) {
                    to.copy_from_slice(from);
                }
            }
        }
    }

    pub fn picture(&self) -> &frame::Video {
        &self.picture
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.picture.width(), self.picture.height())
    }
}
