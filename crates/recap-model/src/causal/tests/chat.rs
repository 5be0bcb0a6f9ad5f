use std::time::Duration;

use super::{SMOLLM, path};
use crate::causal::{Chat, Finish, Generation, LoadOptions};
use crate::{Health, ModelError};

#[tokio::test]
async fn a_model_on_its_thread_replies_and_stops_when_nobody_waits() {
    let Some(path) = path(SMOLLM) else { return };
    let chat = Chat::start("small", path, LoadOptions::default(), 4).unwrap();
    chat.ready().await.unwrap();
    assert_eq!((chat.name(), chat.window(), chat.health()), ("small", Some(8192), Health::Ready));
    assert_eq!(chat.hash().map(str::len), Some(64));
    let endless = Generation { max_tokens: 8000, temperature: 9.0, seed: 1, schema: None };
    let given_up = chat.clone();
    let dropped =
        tokio::time::timeout(Duration::from_millis(300), given_up.complete(String::new(), "Go on.".into(), endless))
            .await;
    assert!(dropped.is_err(), "thousands of tokens take longer");
    let few = Generation { max_tokens: 2, ..Generation::default() };
    let reply = chat.complete("Be brief.".into(), "Count to ten.".into(), few.clone()).await.unwrap();
    assert_eq!((reply.tokens, reply.finish), (2, Finish::Length));
    chat.stop().await;
    let refused = chat.complete(String::new(), "Hi".into(), few).await;
    assert!(matches!(refused, Err(ModelError::Stopped)), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_loaded_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start("none", folder.path().join("none.gguf"), LoadOptions::default(), 1).unwrap();
    assert!(matches!(chat.ready().await, Err(ModelError::Failed { .. })));
    assert!(matches!(chat.health(), Health::Failed { why } if why.contains("none.gguf")));
    assert_eq!((chat.hash(), chat.window()), (None, None));
}
