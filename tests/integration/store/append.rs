//! Appending and reading back.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use recap_core::trajectory::OriginalHash;
use recapd::store::{Appended, ChangeError, NewMessage};

use super::bed::{Bed, key, message, on_each_engine, request};

on_each_engine!(
    law_1_any_messages_come_back,
    law_1_what_was_appended_is_read_back_after_a_restart,
    an_append_is_stored_whole_or_not_at_all,
    a_retry_gets_the_first_answer,
    the_same_text_is_stored_once,
);

async fn law_1_what_was_appended_is_read_back_after_a_restart(mut bed: Bed) {
    bed.trajectory("t").await;
    let mut sent = Vec::new();
    for (round, text) in ["short", &"long \u{0} é\n\"x\" ".repeat(300), "漢字 😀", ""]
        .into_iter()
        .enumerate()
    {
        let mut messages: Vec<_> = (0..40)
            .map(|n| message(&format!("{text} {round} {n}")))
            .collect();
        messages[1].admitted.insert(0, "reformatted".into());
        sent.extend(messages.clone());
        bed.store.append(request("t", messages)).await.unwrap();
    }
    bed.reopen().await;
    let stored = bed.store.messages("t", 0..1000).await.unwrap();
    assert_eq!(stored.len(), sent.len());
    for ((n, sent), stored) in (0..).zip(&sent).zip(&stored) {
        assert_eq!(stored.n, n);
        assert_eq!(stored.native, sent.native);
        assert_eq!(stored.originals, sent.originals);
        assert_eq!(stored.admitted, sent.admitted);
        assert_eq!(
            (stored.format, stored.role, stored.origin),
            (sent.format, sent.role, sent.origin)
        );
        let (hash, text) = &sent.originals[0];
        assert_eq!(
            bed.store.original(*hash).await.unwrap().as_ref(),
            Some(text)
        );
    }
    assert_eq!(bed.store.messages("t", 3..5).await.unwrap(), stored[3..5]);
    let row = bed.store.trajectory("t").await.unwrap().unwrap();
    assert_eq!((row.length, row.full_tokens), (160, 160 * 7));
    assert!(bed.store.check().await.unwrap().is_sound());
}

/// Messages with several texts, some long, some repeated, in JSON that escapes much or little or oddly.
fn any_message() -> impl Strategy<Value = NewMessage> {
    let text = ("[a-c\"\\\\/\n\u{0}é漢😀 ]{1,30}", 1..60_usize)
        .prop_map(|(text, times)| text.repeat(times));
    (prop::collection::vec(text, 0..5), 0..3).prop_map(|(texts, escapes)| {
        let json = serde_json::json!({"role": "user", "content": texts}).to_string();
        let native = match escapes {
            0 => json,
            1 => json
                .replace('é', "\\u00e9")
                .replace('漢', "\\u6f22")
                .replace('😀', "\\ud83d\\ude00"),
            _ => json.replace('/', "\\/").replace('b', "\\u0062"),
        };
        let originals = texts
            .into_iter()
            .map(|text| (OriginalHash::of(&text), text.into()))
            .collect();
        NewMessage {
            native: native.into(),
            originals,
            ..message("")
        }
    })
}

async fn law_1_any_messages_come_back(mut bed: Bed) {
    bed.trajectory("t").await;
    let mut runner = proptest::test_runner::TestRunner::default();
    let batches = prop::collection::vec(any_message(), 0..12);
    let mut sent = Vec::new();
    for _ in 0..24 {
        let batch = batches.new_tree(&mut runner).unwrap().current();
        sent.extend(batch.clone());
        bed.store.append(request("t", batch)).await.unwrap();
    }
    bed.reopen().await;
    let stored = bed.store.messages("t", 0..1000).await.unwrap();
    assert_eq!(stored.len(), sent.len());
    for (sent, stored) in sent.iter().zip(&stored) {
        assert_eq!(
            (&stored.native, &stored.originals),
            (&sent.native, &sent.originals)
        );
        for (hash, text) in &sent.originals {
            assert_eq!(
                bed.store.original(*hash).await.unwrap().as_ref(),
                Some(text)
            );
        }
    }
    assert!(bed.store.check().await.unwrap().is_sound());
}

async fn an_append_is_stored_whole_or_not_at_all(bed: Bed) {
    bed.trajectory("t").await;
    bed.store
        .append(request("t", vec![message("a"), message("b")]))
        .await
        .unwrap();
    let mut wrong = request("t", vec![message("c")]);
    wrong.expected_length = Some(1);
    let refused = bed.store.append(wrong).await;
    assert!(
        matches!(refused, Err(ChangeError::LengthMismatch { current: 2 })),
        "{refused:?}"
    );
    let nowhere = bed.store.append(request("u", vec![message("c")])).await;
    assert!(
        matches!(nowhere, Err(ChangeError::NoTrajectory)),
        "{nowhere:?}"
    );
    let mut unstorable = request("t", vec![message("c"), message("d")]);
    unstorable.idempotency = Some(key("\u{0}", "x"));
    assert!(matches!(
        bed.store.append(unstorable).await,
        Err(ChangeError::Store(_))
    ));
    assert_eq!(bed.store.messages("t", 0..9).await.unwrap().len(), 2);
    assert!(bed.store.check().await.unwrap().is_sound());
}

async fn a_retry_gets_the_first_answer(mut bed: Bed) {
    bed.trajectory("t").await;
    let mut request = request("t", vec![message("a"), message("b")]);
    request.idempotency = Some(key("k", "body"));
    request.expected_length = Some(0);
    let first = bed.store.append(request.clone()).await.unwrap();
    bed.reopen().await;
    let again = bed.store.append(request.clone()).await.unwrap();
    assert_eq!(
        again,
        Appended {
            replayed: true,
            ..first
        }
    );
    request.idempotency = Some(key("k", "another body"));
    assert!(matches!(
        bed.store.append(request.clone()).await,
        Err(ChangeError::IdempotencyReused)
    ));
    assert_eq!(bed.store.trajectory("t").await.unwrap().unwrap().length, 2);
    assert_eq!(bed.store.forget_idempotency_keys(3).await.unwrap(), 1);
    request.expected_length = Some(2);
    assert_eq!(bed.store.append(request).await.unwrap().length, 4);
}

async fn the_same_text_is_stored_once(bed: Bed) {
    bed.trajectory("t").await;
    bed.trajectory("u").await;
    let text = "the same long text ".repeat(100);
    for id in ["t", "u", "t"] {
        bed.store
            .append(request(id, vec![message(&text), message(&text)]))
            .await
            .unwrap();
    }
    let report = bed.store.check().await.unwrap();
    assert_eq!(
        (report.trajectories, report.messages, report.originals),
        (2, 6, 1)
    );
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(
        &*bed.store.messages("u", 0..1).await.unwrap()[0].native,
        &*message(&text).native
    );
}
