//! `/v1/trajectories/{id}/events`

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use futures::Stream;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::App;
use super::extract::Path;
use super::problem::{Code, Problem, ProblemDocument};
use crate::pipeline::events::Event;
use crate::pipeline::keys::Caller;

/// Streams what happens to a trajectory from now on: `appended`, `epoch`, `outcome`, `deleted`; of background jobs of this
/// daemon `compressing`, then `compressed` or `compression_failed` with the reason; and `lagged` with the number of events
/// that a slow reader missed.
#[utoipa::path(get, path = "/v1/trajectories/{id}/events", tag = "trajectories", operation_id = "stream_events",
    params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn stream_events(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Line, Infallible>>>, Problem> {
    let permit = app.streams().clone().try_acquire_owned().map_err(|_| {
        Problem::new(Code::TooManyStreams, "as many event streams are open as the limit allows")
            .with("retry_after_s", 5)
    })?;
    app.pipeline().record(&caller, &id).await?;
    let events = app.pipeline().events().listen(&id);
    let stream = lines(events, app.stopping().clone(), permit);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

fn lines(
    mut events: Receiver<Event>,
    stopping: CancellationToken,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Line, Infallible>> {
    async_stream::stream! {
        let _held = permit;
        yield Ok(Line::default().comment("listening"));
        loop {
            let received = tokio::select! {
                () = stopping.cancelled() => break,
                received = events.recv() => received,
            };
            match received {
                Ok(event) => {
                    let last = event == Event::Deleted;
                    yield Ok(line(&event));
                    if last {
                        break;
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    yield Ok(Line::default().event("lagged").data(json!({ "missed": missed }).to_string()));
                }
                Err(RecvError::Closed) => break,
            }
        }
    }
}

fn line(event: &Event) -> Line {
    // An event is made of numbers and short strings: writing it cannot fail.
    let data = serde_json::to_string(event).unwrap_or_default();
    Line::default().event(event.name()).data(data)
}
