//! A catalogue of any size in the product's own row shapes, made by the engine itself in bulk: what is counted in tests
//! and timed by `make scale`. By its number every video can be told what it is.

use policast::catalogue::Db;

/// Topics; the third lies below the second.
pub const TOPICS: i64 = 4;
/// The newest of so many videos is a draft that waits for its source, as after an import.
const DRAFTS: i64 = 60;
/// So many videos, at any size that has them, are of the topic and have the word `rare`.
const RARE: i64 = 300;
/// Below this many, fewer are rare.
const SMALL: i64 = 10_000;

/// Numbers from one.
pub fn numbers(db: &Db, last: i64) -> String {
    match db {
        Db::Sqlite { .. } => format!(
            "(with recursive n (i) as (select 1 union all select i + 1 from n where i < {last}) select i from n) n"
        ),
        Db::Pg(_) => format!("(select i from generate_series(1, {last}) n (i)) n"),
    }
}

/// The id of a number.
pub fn id(db: &Db, i: &str) -> String {
    match db {
        Db::Sqlite { .. } => format!("printf('01970000-0000-7000-8000-%012d', {i})"),
        Db::Pg(_) => format!("('01970000-0000-7000-8000-' || lpad(({i})::text, 12, '0'))"),
    }
}

/// What a catalogue of so many videos is filled with, table by table. Account 2 has every seventeenth video, account 1
/// every fifty-fourth; the others are small.
pub struct Bulk<'a> {
    db: &'a Db,
    videos: i64,
    one: String,
    numbers: String,
    state: String,
    account: String,
    rare: String,
}

impl<'a> Bulk<'a> {
    /// For this engine and so many videos.
    pub fn new(db: &'a Db, videos: i64) -> Self {
        let newest = videos - videos / DRAFTS;
        let accounts = Self::accounts(videos);
        Self {
            one: id(db, "i"),
            numbers: numbers(db, videos),
            state: format!(
                "case when i > {newest} then 'draft' when i % 200 = 7 then 'withdrawn' else 'published' end"
            ),
            account: format!(
                "case when i % 17 = 0 then 2 when i % 54 = 0 then 1 else 3 + i % {} end",
                accounts - 2
            ),
            rare: format!("i % {} = 9", if videos < SMALL { 4000 } else { videos / RARE }),
            db,
            videos,
        }
    }

    /// How many accounts there are beside so many videos.
    fn accounts(videos: i64) -> i64 {
        videos / 8 + 20
    }

    /// Every statement, in order.
    pub fn statements(&self) -> Vec<String> {
        let mut all = self.tied_to();
        all.push(self.table_of_videos());
        all.extend(self.table_of_tokens());
        all.extend(self.tables_of_media());
        all.extend(self.tables_of_jobs());
        all
    }

    /// What videos are tied to.
    fn tied_to(&self) -> Vec<String> {
        let accounts = numbers(self.db, Self::accounts(self.videos));
        let one = &self.one;
        vec![
            format!(
                "insert into account (id, handle, name, sector, level, region, created_at, updated_at)
                 select {one}, 'account-' || i, '{{\"en\": \"Account\"}}', 'health', 'district', '', 0, 0 from {accounts}"
            ),
            format!(
                "insert into topic (id, slug, name, created_at, updated_at)
                 select {one}, case i when 1 then 'health' when 2 then 'environment' when 3 then 'environment/air'
                   else 'rare' end, '{{\"en\": \"Topic\"}}', 0, 0 from {}",
                numbers(self.db, TOPICS)
            ),
        ]
    }

    fn table_of_videos(&self) -> String {
        let Self { one, numbers, state, rare, .. } = self;
        let account = id(self.db, &self.account);
        let topic = id(self.db, &format!("case when {rare} then 4 else 1 + i % 3 end"));
        format!(
            "insert into video (id, account_id, topic_id, title, description, language, state, published_at, poster_alt,
               media_state, revision, upload_id, created_at, updated_at)
             select {one}, {account}, {topic}, '{{\"en\": \"What changes in the district\"}}',
               '{{\"en\": \"The policy that is explained here holds from the first of the month on, for everybody.\"}}',
               'en', {state}, case when {state} = 'published' then i end, '{{}}',
               case when {state} = 'draft' then 'waiting' when i % 41 = 11 then 'failed'
                 when i % 60 = 13 then 'degraded' else 'ready' end,
               case when {state} = 'draft' or i % 41 = 11 then null else 1 end,
               case when {state} = 'draft' then null else {one} end, i, i
             from {numbers}"
        )
    }

    /// `north` and `south` are in half of all videos each and never meet; `import` is in the drafts and the oldest video.
    fn table_of_tokens(&self) -> Vec<String> {
        let Self { one, numbers, state, rare, .. } = self;
        let words = [
            ("'policy'", "true"),
            ("'north'", "i % 2 = 0"),
            ("'south'", "i % 2 = 1"),
            ("'district' || (i % 10)", "true"),
            ("'theme' || (i % 50)", "true"),
            ("'month' || (i % 200)", "true"),
            ("'street' || (i % 997)", "true"),
            ("'series' || (i % 5003)", "true"),
            ("'place' || (i % 49999)", "true"),
            ("'number' || i", "true"),
            ("'import'", "i = 1"),
        ];
        let words = words.into_iter().map(|(token, held)| (token, held.to_owned()));
        let others = [
            ("'/health'", format!("not ({rare}) and i % 3 = 0")),
            ("'/environment'", format!("not ({rare}) and i % 3 > 0")),
            ("'/environment/air'", format!("not ({rare}) and i % 3 = 2")),
            ("'/rare'", rare.clone()),
            ("'rare'", rare.clone()),
            ("'import'", format!("{state} = 'draft'")),
        ];
        let insert = |(token, held): (&str, String)| {
            format!(
                "insert into video_token (token, state, video_id) select {token}, {state}, {one} from {numbers}
                 where {held}"
            )
        };
        let account = format!("'@' || {}", id(self.db, &self.account));
        let account = insert((&account, "true".to_owned()));
        words.chain(others).map(insert).chain([account]).collect()
    }

    fn tables_of_media(&self) -> Vec<String> {
        let Self { one, numbers, state, .. } = self;
        let account = id(self.db, &self.account);
        let made = format!("from {numbers} where {state} <> 'draft'");
        let rungs = "(select '1080p' as name, 0 as position, 1080 as height union all select '720p', 1, 720
            union all select '480p', 2, 480 union all select '240p', 3, 240 union all select 'audio', 4, 0) g";
        vec![
            format!(
                "insert into upload (id, video_id, account_id, api_key_id, door, concat, partials, length, received,
                   part_size, tail, sha256, fence, state, filename, metadata, created_at, expires_at, finished_at)
                 select {one}, {one}, {account}, '', 'put', 'none', '[]', 1000000, 1000000, 1, 0, 'digest' || i, 0,
                   'finished', 'clip.mp4', '{{}}', i, i, i {made}"
            ),
            format!(
                "insert into revision (video_id, number, state, upload_id, ladder_version, probe, timeline, storyboard,
                   poster, warnings, provenance, cpu_ms, created_at, finished_at)
                 select {one}, 1, case when i % 41 = 11 then 'failed' when i % 60 = 13 then 'degraded' else 'ready' end,
                   {one}, 3, '{PROBE}', '{TIMELINE}', '{STILL}', '{STILL}', '[]', '{{\"ffmpeg\": \"5.1.9\"}}', 20000, i, i
                 {made}"
            ),
            format!(
                "insert into rung (video_id, revision, name, position, audio, width, height, codecs, state)
                 select {one}, 1, g.name, g.position, g.name = 'audio', g.height * 16 / 9, g.height, 'avc1.640028', 'ready'
                 from {numbers} cross join {rungs} where {state} <> 'draft'"
            ),
            format!(
                "insert into pack (video_id, revision, rung, first_segment, attempt, size_bytes, segments)
                 select {one}, 1, g.name, 0, 1, 500000, '{SEGMENTS}'
                 from {numbers} cross join {rungs} where {state} <> 'draft'"
            ),
            format!(
                "insert into broadcast (id, video_id, account_id, state, grace_ms, epoch, next_segment, next_start, viewers,
                   peak_viewers, created_at, updated_at)
                 select {one}, {one}, {account}, 'ended', 60000, 1, 0, 0, 0, 0, i, i {made} and i % 50 = 0"
            ),
        ]
    }

    /// Account 2 has a job queued for every video of its own, and some others have one too.
    fn tables_of_jobs(&self) -> Vec<String> {
        let Self { one, numbers, .. } = self;
        let account = id(self.db, &self.account);
        let work = format!(
            "'{{\"kind\": \"chunk\", \"video\": \"' || {one} || '\", \"revision\": 1, \"first\": 0}}'"
        );
        let work = match self.db {
            Db::Sqlite { .. } => work,
            Db::Pg(_) => format!("({work})::jsonb"),
        };
        let jobs = format!(
            "insert into job (id, kind, lane, position, name, work, account_id, video_id, revision, state, attempt,
               max_attempts, run_at, progress, cancel_requested, created_at, ready)
             select {one}, 'chunk', 2, 0, 'chunk/' || {one} || '/1/0',
               {work}, {account}, {one}, 1,
               'queued', 0, 5, 0, 0, false, 0, true
             from {numbers} where i % 17 = 0 or i % 100 = 1"
        );
        // As their queue is told of what came.
        let arrivals =
            "insert into job_arrival (id, flow) select min(id), account_id from job group by account_id";
        vec![jobs, arrivals.to_owned()]
    }
}

const PROBE: &str = r#"{"container": "mov,mp4", "duration": 5400000, "seekable": true, "video": {"index": 0,
    "codec": "h264", "width": 1920, "height": 1080, "rotation": 0, "mirrored": false, "pixel_aspect": {"num": 1, "den": 1},
    "frame_rate": {"num": 30, "den": 1}, "pixel_format": "yuv420p", "bit_depth": 8, "interlaced": false, "hdr": false,
    "start_pts": 0, "time_base": {"num": 1, "den": 15360}, "bitrate": 4000000, "web_friendly": true},
    "audio": {"index": 1, "codec": "aac", "channels": 2, "sample_rate": 48000, "start": 0, "language": "en"},
    "warnings": []}"#;
const TIMELINE: &str = r#"{"starts": [0, 360000, 720000, 1080000, 1440000, 1800000, 2160000, 2520000, 2880000, 3240000,
    3600000, 3960000, 4320000, 4680000, 5040000], "end": 5400000, "chunks": [0, 1, 5]}"#;
const STILL: &str = r#"{"width": 1280, "height": 720, "size_bytes": 90000}"#;
const SEGMENTS: &str = r#"[{"start": 0, "duration": 360000, "size_bytes": 250000, "key_bytes": 20000},
    {"start": 5040000, "duration": 360000, "size_bytes": 250000, "key_bytes": 20000}]"#;
