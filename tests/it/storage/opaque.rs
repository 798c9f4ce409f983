//! Names are opaque: whatever is in them, they come back as they were and touch nothing else.

use super::place::Place;

super::promises! {
    strange_names_come_back_as_they_were
}

fn names() -> Vec<String> {
    let plain =
        ["政策/解读 第一集.mp4", "🎬/🏛️.mp4", "a \"quoted\" 'name' & <b>.mp4", "percent%2Fslash+plus.mp4"];
    plain.into_iter().map(str::to_owned).chain([vec!["n".repeat(99); 3].join("/")]).collect()
}

async fn strange_names_come_back_as_they_were(place: &Place) {
    for name in names() {
        let put = place.sdk.put_object().bucket(&place.bucket).key(&name);
        put.body(name.clone().into_bytes().into()).send().await.unwrap();
    }
    for name in names() {
        let got = place.sdk.get_object().bucket(&place.bucket).key(&name).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), name.as_bytes());
    }
    let list = place.sdk.list_objects_v2().bucket(&place.bucket).send().await.unwrap();
    let mut expected = names();
    expected.sort();
    let mut listed: Vec<_> = list.contents().iter().filter_map(|object| object.key()).collect();
    listed.sort_unstable();
    assert_eq!(listed, expected);
}
