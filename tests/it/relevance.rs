//! What residents type, and what they mean by it: sixty searches over a small catalogue, each with all that it should find.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::app::App;

/// Handle, names, sector.
const AGENCIES: &[(&str, &str, &str, &str)] = &[
    ("riverside-ecology", "Riverside Ecology Bureau", "河滨市生态环境局", "environment"),
    ("riverside-housing", "Riverside Housing Office", "河滨市住房保障中心", "housing"),
    ("riverside-transport", "Riverside Transport Commission", "河滨市交通委员会", "transport"),
    ("riverside-health", "Riverside Health Commission", "河滨市卫生健康委员会", "health"),
];

/// Slug and names.
const TOPICS: &[(&str, &str, &str)] = &[
    ("nature", "Nature protection", "生态保护"),
    ("nature/air", "Air quality", "空气质量"),
    ("living", "Living together", "社区生活"),
    ("living/waste", "Waste sorting", "垃圾分类"),
    ("living/homes", "Affordable homes", "保障性住房"),
    ("moving", "Public transport", "公共交通"),
    ("care", "Health insurance", "医疗保险"),
];

/// A text in English and in Chinese.
type Both = [&'static str; 2];
type Row = (&'static str, &'static str, &'static str, Both, Both);

/// Key, agency, topic, title in English and Chinese, description in English and Chinese.
const VIDEOS: &[Row] = &[
    (
        "heating",
        "riverside-ecology",
        "nature/air",
        ["Cleaner heating for 12,000 homes", "一万二千户清洁取暖改造"],
        ["Coal stoves are replaced by heat pumps before winter.", "入冬前用热泵替换燃煤炉。"],
    ),
    (
        "dust",
        "riverside-ecology",
        "nature/air",
        ["Dust from building sites", "建筑工地扬尘治理"],
        ["Sites are covered and watered; inspectors visit twice a day.", "工地覆盖洒水，每天巡查两次。"],
    ),
    (
        "river",
        "riverside-ecology",
        "nature",
        ["Why the river is clean again", "河水为什么变清了"],
        ["Sewage no longer flows into it; fish have come back.", "污水不再直排，鱼又回来了。"],
    ),
    (
        "sorting",
        "riverside-ecology",
        "living/waste",
        ["Four bins: sorting made easy", "四个桶，分类很简单"],
        ["Which rubbish goes where, and when it is collected.", "哪种垃圾放哪里，什么时候收。"],
    ),
    (
        "fines",
        "riverside-ecology",
        "living/waste",
        ["Fines for illegal dumping", "乱倒建筑垃圾的罚款标准"],
        ["What dumping costs, and how it is reported.", "随意倾倒罚多少，怎么举报。"],
    ),
    (
        "subsidy",
        "riverside-housing",
        "living/homes",
        ["Applying for the rent subsidy", "如何申请租房补贴"],
        [
            "Who is eligible, which documents are needed, and how long it takes.",
            "申请条件、所需材料和办理时间。",
        ],
    ),
    (
        "lottery",
        "riverside-housing",
        "living/homes",
        ["How flats are allocated by lottery", "公租房摇号分配办法"],
        ["Families with children go first.", "有未成年子女的家庭优先。"],
    ),
    (
        "lifts",
        "riverside-housing",
        "living",
        ["Lifts for old houses", "老旧小区加装电梯"],
        ["Two thirds of the owners have to agree.", "需要三分之二以上业主同意。"],
    ),
    (
        "buses",
        "riverside-transport",
        "moving",
        ["Electric buses on every line", "公交车全部换成电动车"],
        ["200 new buses; night lines run until 1 am.", "新增二百辆，夜班车运行到凌晨一点。"],
    ),
    (
        "metro",
        "riverside-transport",
        "moving",
        ["Metro line 4 opens", "地铁四号线开通"],
        ["Timetable, stations and fares for students and seniors.", "时刻表、车站以及学生和老人票价。"],
    ),
    (
        "cycling",
        "riverside-transport",
        "moving",
        ["Safer cycling to school", "骑车上学更安全"],
        ["40 km of cycle paths are separated from cars.", "四十公里自行车道与机动车隔离。"],
    ),
    (
        "parking",
        "riverside-transport",
        "moving",
        ["Residents’ parking permits", "居民停车证办理"],
        ["Apply online; the permit costs 30 yuan a month.", "网上申请，每月三十元。"],
    ),
    (
        "insurance",
        "riverside-health",
        "care",
        ["Health insurance for freelancers", "灵活就业人员医疗保险"],
        ["Contributions, and what is reimbursed in hospital.", "缴费标准和住院报销比例。"],
    ),
    (
        "vaccine",
        "riverside-health",
        "care",
        ["Free flu vaccination", "免费接种流感疫苗"],
        ["For children and for everybody over 65.", "儿童和六十五岁以上老人免费。"],
    ),
    (
        "smoking",
        "riverside-health",
        "living",
        ["No smoking in restaurants", "餐厅禁止吸烟"],
        ["The rules hold from 1 May 2026.", "2026年5月1日起施行。"],
    ),
];

/// What is typed, and the keys of all that should be found.
const SEARCHES: &[(&str, &str)] = &[
    // Forms of English words.
    ("bus", "buses"),
    ("Buses", "buses"),
    ("electric bus", "buses"),
    ("heat pump", "heating"),
    ("heated home", "heating"),
    ("subsidies", "subsidy"),
    ("apply", "subsidy parking"),
    ("application permit", ""),
    ("applied", "subsidy parking"),
    ("document", "subsidy"),
    ("vaccinations", "vaccine"),
    ("child", "lottery vaccine"),
    ("children", "lottery vaccine"),
    ("lift", "lifts"),
    ("fine", "fines"),
    ("dumped", "fines"),
    ("inspector", "dust"),
    ("bins", "sorting"),
    ("sort", "sorting fines"),
    ("cycle", "cycling"),
    ("permits", "parking"),
    ("restaurant smoking", "smoking"),
    ("freelancer", "insurance"),
    // Questions.
    ("how do I apply for a rent subsidy?", "subsidy"),
    ("Where does the rubbish go", "sorting"),
    ("what is the fare for students", "metro"),
    ("when does the metro open", "metro"),
    ("why is the river clean", "river"),
    ("who gets a flat", "lottery"),
    // Case, diacritics, signs, numbers.
    ("METRO", "metro"),
    ("métro", "metro"),
    ("line 4", "metro"),
    ("12,000", "heating"),
    ("2026", "smoking"),
    ("residents' parking", "parking"),
    ("ＭＥＴＲＯ", "metro"),
    ("heating!!!", "heating"),
    // Names of agencies and topics.
    ("ecology bureau", "heating dust river sorting fines"),
    ("riverside-health", "insurance vaccine smoking"),
    ("Riverside Housing Office", "subsidy lottery lifts"),
    ("air quality", "heating dust"),
    ("waste", "sorting fines"),
    ("affordable homes", "subsidy lottery"),
    ("health commission smoking", "smoking"),
    ("public transport night", "buses"),
    ("生态环境局", "heating dust river sorting fines"),
    ("交通委员会", "buses metro cycling parking"),
    ("空气质量", "heating dust"),
    ("垃圾分类", "sorting fines"),
    ("保障性住房", "subsidy lottery"),
    ("河滨市交通委员会 停车", "parking"),
    // Chinese.
    ("租房补贴", "subsidy"),
    ("怎么申请补贴", "subsidy"),
    ("地铁", "metro"),
    ("电梯", "lifts"),
    ("流感疫苗", "vaccine"),
    ("建筑垃圾", "fines"),
    ("老人的票价", "metro"),
    ("水", "river"),
    ("电动公交车", "buses"),
    // What isn't there.
    ("zeppelin", ""),
    ("飞艇", ""),
    ("%", ""),
];

async fn fill(app: &App) {
    let post = async |path: &str, key: &str, json| {
        let reply = app.send("POST", path, Some(key), json).await;
        assert!(reply.status < 300, "{path}: {reply:?}");
        reply.json()
    };
    for (handle, english, chinese, sector) in AGENCIES {
        let account = json!({"handle": handle, "name": {"en": english, "zh-Hans": chinese}, "sector": sector,
            "level": "municipal", "region": "Riverside"});
        post("/api/v1/accounts", &app.operator, account).await;
    }
    for (slug, english, chinese) in TOPICS {
        let topic = json!({"slug": slug, "name": {"en": english, "zh-Hans": chinese}});
        post("/api/v1/topics", &app.operator, topic).await;
    }
    for (_, account, topic, title, description) in VIDEOS {
        let texts = |[english, chinese]: &[&str; 2]| json!({"en": english, "zh-Hans": chinese});
        let video = json!({"account": account, "topic": topic, "title": texts(title),
            "description": texts(description), "language": "zh-Hans"});
        let made = post("/api/v1/videos", &app.operator, video).await;
        let publish =
            format!("/api/v1/videos/{}/publish?without_media=true", made["id"].as_str().expect("an id"));
        post(&publish, &app.operator, json!({})).await;
    }
}

/// The keys of what a search finds.
async fn found(app: &App, query: &str) -> BTreeSet<&'static str> {
    let encoded = query.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let list = app.get(&format!("/api/v1/videos?limit=100&q={encoded}"), None).await.json();
    let titles = list["items"].as_array().expect("a list").iter();
    let titles = titles.map(|item| item["title"]["en"].as_str().expect("a title").to_owned());
    let key = |title: String| VIDEOS.iter().find(|video| video.3[0] == title).map(|video| video.0);
    titles.filter_map(key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_searches_find_what_is_meant_and_nothing_else() {
    assert!(SEARCHES.len() >= 60, "{} searches", SEARCHES.len());
    for app in App::both().await {
        fill(&app).await;
        let mut wrong = Vec::new();
        for (query, expected) in SEARCHES {
            let (found, expected) = (found(&app, query).await, expected.split_whitespace().collect());
            if found != expected {
                wrong.push(format!("{query}: {found:?}, expected {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", app.world.publishing.db.engine(), wrong.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_of_an_agency_or_a_topic_is_found_and_the_old_one_no_more() {
    for app in App::both().await {
        fill(&app).await;
        let patch = async |path: &str, name: &str| {
            let reply = app.send("PATCH", path, Some(&app.operator), json!({"name": {"en": name}})).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        };
        patch("/api/v1/accounts/riverside-health", "Wellbeing Authority").await;
        patch("/api/v1/topics/nature", "Wildlife").await;
        let publishing = &app.world.publishing;
        publishing.index_stale(Instant::now() + Duration::from_mins(1)).await.expect("indexed");
        assert_eq!(found(&app, "wellbeing").await, BTreeSet::from(["insurance", "vaccine", "smoking"]));
        assert_eq!(found(&app, "health commission").await, BTreeSet::new());
        assert_eq!(
            found(&app, "wildlife").await,
            BTreeSet::from(["heating", "dust", "river"]),
            "and below it"
        );
        assert_eq!(found(&app, "生态保护").await, BTreeSet::new());
        assert_eq!(found(&app, "metro").await, BTreeSet::from(["metro"]), "others stay");
    }
}
