//! Search and recall: the same hits on each engine.

use recap_core::trajectory::Origin;
use recapd::store::{SearchRequest, StoreError};

use super::bed::{Bed, message, new_trajectory, on_each_engine, request};

on_each_engine!(
    words_find_texts,
    any_query_is_safe,
    hits_are_filtered_and_paged,
    rare_words_recall_first,
    law_10_what_recapd_wrote_is_not_found,
);

async fn found(bed: &Bed, query: &str) -> Vec<u64> {
    let request = SearchRequest {
        query: query.into(),
        limit: 50,
        ..SearchRequest::default()
    };
    let mut found: Vec<u64> = bed
        .store
        .search(&request)
        .await
        .unwrap()
        .hits
        .into_iter()
        .map(|hit| hit.n)
        .collect();
    found.sort_unstable();
    found
}

const TEXTS: [&str; 6] = [
    "Error: can't open /etc/App_v2.conf (permission denied)",
    "ÉTÉ à Zürich — Größe 12.5",
    "東京都 の天気",
    "reservation 4WQ150, flight HAT170",
    "the flight was late; \u{0} see https://example.org/a?b=c",
    "{\"error\": {\"code\": 404}}",
];

async fn bed_of_texts(bed: &Bed) {
    bed.trajectory("t").await;
    bed.store
        .append(request("t", TEXTS.map(message).to_vec()))
        .await
        .unwrap();
}

async fn words_find_texts(bed: Bed) {
    bed_of_texts(&bed).await;
    for (query, hits) in [
        ("error", vec![0, 5]),
        ("ERROR 404", vec![5]),
        ("été zürich", vec![1]),
        ("GRÖSSE", vec![]),
        ("größe", vec![1]),
        ("京", vec![2]),
        ("天気", vec![2]),
        ("flight", vec![3, 4]),
        ("4wq150", vec![3]),
        ("app_v2.conf", vec![0]),
        ("example.org/a", vec![4]),
        ("missing", vec![]),
        ("flight missing", vec![]),
    ] {
        assert_eq!(found(&bed, query).await, hits, "{query}");
    }
    let request = SearchRequest {
        query: "permission".into(),
        limit: 1,
        ..SearchRequest::default()
    };
    let hit = &bed.store.search(&request).await.unwrap().hits[0];
    assert_eq!(
        (hit.snippet.as_str(), hit.hash),
        (TEXTS[0], message(TEXTS[0]).originals[0].0)
    );
}

async fn any_query_is_safe(bed: Bed) {
    bed_of_texts(&bed).await;
    for query in [
        "",
        "\"",
        "'",
        "a\"b'c",
        "NOT AND OR NEAR(",
        "*",
        "-x:y",
        "\\",
        "\u{0}",
        "a:* & ! | <->",
        "%",
        "😀",
    ] {
        found(&bed, query).await;
        bed.store.search_trajectory("t", query, 9, 5).await.unwrap();
    }
    found(&bed, &"many words ".repeat(5000)).await;
    found(&bed, &"x".repeat(100_000)).await;
    assert_eq!(
        found(&bed, "(\"flight\" AND* 'late')").await,
        Vec::<u64>::new()
    );
    assert_eq!(found(&bed, "(\"flight\" * 'late')").await, [4]);
}

async fn hits_are_filtered_and_paged(bed: Bed) {
    for (id, agent) in [("t", "a"), ("u", "b")] {
        let mut new = new_trajectory(id);
        new.agent = Some(agent.into());
        bed.store.create_trajectory(new).await.unwrap();
        let messages = (0..300)
            .map(|n| message(&format!("common number {n}")))
            .collect();
        bed.store.append(request(id, messages)).await.unwrap();
    }
    let base = SearchRequest {
        query: "common".into(),
        limit: 70,
        ..SearchRequest::default()
    };
    let mut request = base.clone();
    let mut seen = Vec::new();
    loop {
        let page = bed.store.search(&request).await.unwrap();
        seen.extend(page.hits.into_iter().map(|hit| (hit.trajectory, hit.n)));
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 600);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 600);
    let count = async |request: SearchRequest| bed.store.search(&request).await.unwrap().hits.len();
    let limited = SearchRequest {
        limit: 900,
        ..base.clone()
    };
    assert_eq!(
        count(SearchRequest {
            trajectory: Some("t".into()),
            ..limited.clone()
        })
        .await,
        300
    );
    assert_eq!(
        count(SearchRequest {
            agent: Some("b".into()),
            ..limited.clone()
        })
        .await,
        300
    );
    assert_eq!(
        count(SearchRequest {
            namespace: Some("none".into()),
            ..limited.clone()
        })
        .await,
        0
    );
    let regex = regex::Regex::new("r 2.7$").unwrap();
    assert_eq!(
        count(SearchRequest {
            regex: Some(regex.clone()),
            ..limited.clone()
        })
        .await,
        20
    );
    assert_eq!(
        count(SearchRequest {
            regex: Some(regex),
            query: String::new(),
            ..limited
        })
        .await,
        20
    );
    let bad = bed
        .store
        .search(&SearchRequest {
            cursor: Some("1.x".into()),
            ..base
        })
        .await;
    assert!(matches!(bad, Err(StoreError::BadCursor)));
}

async fn rare_words_recall_first(bed: Bed) {
    bed.trajectory("t").await;
    let mut messages: Vec<_> = (0..30)
        .map(|n| message(&format!("the flight plan step {n}")))
        .collect();
    messages[4] = message("the flight HAT170 plan");
    bed.store.append(request("t", messages)).await.unwrap();
    let recalled = bed
        .store
        .search_trajectory("t", "what is the plan for HAT170?", 20, 3)
        .await
        .unwrap();
    let numbers: Vec<u64> = recalled.iter().map(|recalled| recalled.n).collect();
    assert_eq!(numbers, [4, 19, 18]);
}

async fn law_10_what_recapd_wrote_is_not_found(bed: Bed) {
    bed.trajectory("t").await;
    let mut own = message("a served recap");
    own.origin = Origin::Recapd;
    bed.store
        .append(request("t", vec![own, message("a served meal")]))
        .await
        .unwrap();
    assert_eq!(found(&bed, "served").await, [1]);
    assert_eq!(
        bed.store
            .search_trajectory("t", "served recap", 9, 9)
            .await
            .unwrap()
            .len(),
        1
    );
}
