//! A search for frequent words that hardly meet looks through so much for a page and goes on from there: a page costs the
//! same however many videos there are.

use policast::catalogue::video::Sight;
use policast::catalogue::{Db, video};

use crate::lists::{STATES_OF_TOKENS, filled, id, measured, narrowed, numbers};

/// Videos of two words that are each in half of them and meet in the oldest only.
fn halves(db: &Db, count: i64) -> Vec<String> {
    let (one, numbers) = (id(db, "i"), numbers(db, count));
    let first = id(db, "1");
    vec![
        format!(
            "insert into account (id, handle, name, sector, level, region, created_at, updated_at)
             values ({first}, 'account-1', '{{}}', 'health', 'central', '', 0, 0)"
        ),
        format!(
            "insert into topic (id, slug, name, created_at, updated_at) values ({first}, 'health', '{{}}', 0, 0)"
        ),
        format!(
            "insert into video (id, account_id, topic_id, title, description, language, state, poster_alt, media_state,
               created_at, updated_at)
             select {one}, {first}, {first}, '{{}}', '{{}}', 'en', 'published', '{{}}', 'ready', 0, 0 from ({numbers}) n"
        ),
        format!(
            "insert into video_token (token, video_id)
             select case i % 2 when 0 then 'even' else 'odd' end, {one} from ({numbers}) n"
        ),
        format!("insert into video_token (token, video_id) values ('even', {first})"),
        STATES_OF_TOKENS.to_owned(),
    ]
}

#[tokio::test]
async fn a_page_of_two_frequent_words_that_hardly_meet_costs_the_same_among_more_videos() {
    let few = filled(|db| halves(db, 15_000)).await;
    let many = filled(|db| halves(db, 60_000)).await;
    for ((few, _one), (many, _other)) in few.into_iter().zip(many) {
        let mut costs = Vec::new();
        for db in [&few, &many] {
            let mut filter = narrowed(|f| {
                f.sight = Sight::Public;
                f.tokens = ["even", "odd"].map(str::to_owned).into();
            });
            let (page, cost) =
                measured(db, async |conn| video::list(conn, &filter).await.expect("a page")).await;
            assert!(page.items.is_empty() && page.next.is_some(), "{}: {page:?}", db.engine());
            costs.push(cost);
            // Whoever goes on finds what there is, and comes to an end.
            let mut pages = vec![page];
            while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
                filter.cursor = Some(next.parse().expect("an id"));
                let mut tx = db.begin().await.expect("a transaction");
                pages.push(video::list(tx.conn(), &filter).await.expect("a page"));
            }
            let found: Vec<_> = pages.iter().flat_map(|page| &page.items).collect();
            let [oldest] = found.as_slice() else { panic!("{}: {found:?}", db.engine()) };
            assert_eq!(oldest.id.to_string(), "01970000-0000-7000-8000-000000000001");
        }
        let [few_cost, many_cost] = costs[..] else { panic!("two") };
        assert!(
            many_cost * 10 < few_cost * 15,
            "{}: {few_cost} of 15,000, {many_cost} of 60,000",
            many.engine()
        );
    }
}
