//! The pages in Simplified Chinese.

use time::OffsetDateTime;

use super::{Broadcast, Levels, Phrases, Player, Sentence, Wrong, studio};
use crate::domain::{Refusal, RefusalCode, Timestamp};

/// Simplified Chinese.
pub const PHRASES: Phrases = Phrases {
    tag: "zh-Hans",
    controls: "zh-CN",
    other_tag: "en",
    other_name: "English",
    tagline: "用视频讲清公共政策",
    published: "发布于",
    topic: "主题",
    notices: "提示",
    draft: "这是草稿，只有持有此链接的人才能看到。",
    withdrawn: "该视频已被发布者撤回。",
    waiting: "该视频尚未上传，可以播放时会自动出现在这里。",
    processing: "视频正在处理，可以播放时会自动出现在这里。",
    progress: "处理进度",
    degraded: "有一种清晰度未能生成，其余清晰度可正常播放。",
    failed: "该视频无法播放。",
    more_coming: "更高的清晰度仍在生成中。",
    quality: "清晰度",
    speed: "播放速度",
    settings: "设置",
    captions: "字幕",
    no_script: "本页播放器需要启用 JavaScript。未启用时，Safari 等自带 HLS 播放功能的浏览器可在此直接播放。",
    embed: "嵌入此视频",
    embed_code: "网页嵌入代码",
    home: "首页",
    search: "搜索视频",
    search_go: "搜索",
    latest: "最新视频",
    results: "搜索结果：",
    nothing: "这里还没有视频。",
    nothing_yet: "较新的视频中没有找到，请继续查找更早的视频。",
    nothing_found: "没有找到与{}相关的视频。",
    everywhere: "在全站搜索",
    topics: "主题",
    subtopics: "下级主题",
    agency: "机构",
    agencies: "机构",
    agencies_below: "下级机构",
    no_agencies: "这里还没有机构。",
    part_of: "隶属于",
    level_name: "行政层级",
    all_levels: "全部层级",
    more: "更多",
    ways: "浏览全部视频",
    site: "关于本站",
    starts: "开播时间：",
    begun_anew: "未启用 JavaScript 时本页不会自动更新，请刷新页面查看最新状态。",
    older: "更早的视频",
    duration: "时长",
    player: Player {
        stopped: "播放已中断，网络连接可能已断开。",
        unsupported: "当前浏览器无法播放该视频。",
        again: "重试",
        back: "返回上级菜单",
        broadcast: Broadcast {
            starts_in: "距开播还有{}",
            announced: "开播后将在此自动播放。",
            waiting: "正在等待直播信号，信号到达后将自动播放。",
            upcoming: "即将开播",
            live: "直播",
            go_live: "回到直播",
            interrupted: "直播信号中断，恢复后将自动继续播放。",
            reconnecting: "网络连接中断，正在重试……",
            unmute: "打开声音",
            over: "直播已结束。",
            replay: "从头观看回放",
            unrecorded: "直播已结束，没有可供观看的回放。",
        },
    },
    studio: studio::CHINESE,
    wrong: Wrong {
        not_found: Sentence {
            title: "页面不存在", text: "此地址没有内容，可能是输入有误，或视频已被删除。"
        },
        not_public: Sentence {
            title: "视频未公开",
            text: "该视频未公开，或链接已过期。请向发布者索取新的链接。",
        },
        gone: Sentence { title: "视频已撤回", text: "该视频已被发布者撤回。" },
        too_many: Sentence {
            title: "请求过于频繁", text: "来自您所在地址的请求过多，请稍后再试。"
        },
        bad_request: Sentence {
            title: "请求有误", text: "服务器无法识别此地址，请检查后重试。"
        },
        unavailable: Sentence {
            title: "服务暂时不可用", text: "服务暂时无法访问，请稍后再试。"
        },
        broken: Sentence {
            title: "出现错误", text: "这是服务器的问题，与您的操作无关，请稍后再试。"
        },
    },
    levels: Levels {
        central: "中央",
        provincial: "省级",
        municipal: "市级",
        district: "区县级",
        community: "社区",
    },
    sectors: &[
        ("agriculture", "农业农村"),
        ("city-management", "城市管理"),
        ("civil-affairs", "民政"),
        ("culture", "文化"),
        ("education", "教育"),
        ("emergency", "应急管理"),
        ("environment", "生态环境"),
        ("finance", "财政"),
        ("health", "卫生健康"),
        ("housing", "住房和城乡建设"),
        ("human-resources", "人力资源和社会保障"),
        ("justice", "司法"),
        ("market-regulation", "市场监管"),
        ("public-security", "公安"),
        ("science", "科技"),
        ("taxation", "税务"),
        ("tourism", "旅游"),
        ("transport", "交通运输"),
        ("water", "水利"),
    ],
    refusal: by_code,
    date,
    moment,
};

fn by_code(refusal: &Refusal) -> &str {
    match refusal.code {
        RefusalCode::NotMedia => "该文件不是可识别的视频文件。",
        RefusalCode::NoVideoStream => "该文件中没有视频画面。",
        RefusalCode::StillPicture => "该文件是图片，不是视频。",
        RefusalCode::NotPicture => "该文件不是可用的图片，请使用 JPEG、PNG 或 WebP 格式。",
        RefusalCode::Encrypted => "该文件已加密，无法读取。",
        RefusalCode::UndecodableCodec => "该视频的编码格式不受支持。",
        RefusalCode::NoFrames => "无法从该文件中解码出任何画面。",
        RefusalCode::Incomplete => "该文件只是视频的一个片段，不完整。",
        RefusalCode::Truncated => "该视频文件不完整，仅能播放已有的部分。",
        RefusalCode::AudioUndecodable => "声音无法解码，视频播放时没有声音。",
        RefusalCode::PicturesDamaged => "源文件中有部分画面缺失或损坏。",
        RefusalCode::TooManyPixels => "视频分辨率超出上限。",
        RefusalCode::TooLong => "视频时长超出上限。",
        RefusalCode::StandsStill => "视频中静止无声的时间过长。",
        RefusalCode::TooManyTracks => "该文件中的轨道过多。",
        RefusalCode::TooMuchMetadata => "该文件的附加信息过大。",
        RefusalCode::TooMuchMemory => "读取该文件所需的内存超出上限。",
        RefusalCode::TooMuchWork => "读取该文件所需的处理时间超出上限。",
        RefusalCode::Empty => "该文件是空的。",
        RefusalCode::MediaCrashed => "处理该文件时发生异常。",
        RefusalCode::NotAllowed => "上传所用的密钥无权更改公开的视频。",
        RefusalCode::SourceGone => "原始文件已不存在。",
        RefusalCode::RungFailed => "有一种清晰度未能生成。",
        RefusalCode::Cancelled => "处理已被取消。",
        RefusalCode::ProcessingFailed => "视频处理未能完成。",
    }
}

fn date(time: Timestamp) -> String {
    match OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1000)) {
        Ok(time) => format!("{}年{}月{}日", time.year(), u8::from(time.month()), time.day()),
        Err(_) => String::new(),
    }
}

fn moment(time: Timestamp) -> String {
    match OffsetDateTime::from_unix_timestamp(time.0.div_euclid(1000)) {
        Ok(at) => format!("{} {:02}:{:02}（协调世界时）", date(time), at.hour(), at.minute()),
        Err(_) => String::new(),
    }
}
