use std::sync::atomic::AtomicUsize;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use super::*;

/// Counts what it was asked; does what the request says.
struct Scripted {
    asked: usize,
}

fn spawn(queue: usize) -> ModelThread<Scripted> {
    ModelThread::spawn("scripted", queue, || Ok(Scripted { asked: 0 })).unwrap()
}

/// Lets the thread's work begin and end when the test says so.
struct Gate {
    began: std_mpsc::Receiver<()>,
    open: std_mpsc::Sender<()>,
}

type Work = Box<dyn FnOnce(&mut Scripted, &dyn Fn() -> bool) -> Result<usize, ModelError> + Send>;

/// Returns a gate and the work that says that it began and then waits for the gate, or until nobody wants it.
fn gated() -> (Gate, Work) {
    let (start, began) = std_mpsc::channel();
    let (open, opened) = std_mpsc::channel::<()>();
    let work = move |model: &mut Scripted, wanted: &dyn Fn() -> bool| {
        model.asked += 1;
        start.send(()).unwrap();
        while opened.recv_timeout(Duration::from_millis(1)).is_err() {
            if !wanted() {
                return Err(ModelError::Cancelled);
            }
        }
        Ok(model.asked)
    };
    (Gate { began, open }, Box::new(work))
}

#[tokio::test]
async fn the_model_is_loaded_on_its_thread_and_keeps_its_state() {
    // Rc: a model need not be Send
    let thread = ModelThread::spawn("counter", 4, || Ok(std::rc::Rc::new(std::cell::Cell::new(0)))).unwrap();
    thread.ready().await.unwrap();
    assert_eq!(thread.health(), Health::Ready);
    for expected in 1..=3 {
        let count = thread
            .ask(|model, _| {
                model.set(model.get() + 1);
                Ok(model.get())
            })
            .await
            .unwrap();
        assert_eq!(count, expected);
    }
    let name = thread.ask(|_, _| Ok(std::thread::current().name().map(str::to_owned))).await.unwrap();
    assert_eq!(name.as_deref(), Some("counter"));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let thread = spawn(1);
    let (gate, work) = gated();
    let first = thread.submit(work).unwrap();
    gate.began.recv().unwrap();
    let second = thread.submit(|model, _| Ok(model.asked)).unwrap();
    let third = thread.ask(|model, _| Ok(model.asked)).await;
    assert!(matches!(third, Err(ModelError::Busy { waiting: 1 })), "{third:?}");
    gate.open.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert_eq!(second.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn requests_wait_while_the_model_loads() {
    let (open, opened) = std_mpsc::channel::<()>();
    let thread = ModelThread::spawn("slow", 2, move || {
        opened.recv().unwrap();
        Ok(Scripted { asked: 7 })
    })
    .unwrap();
    let answer = thread.submit(|model, _| Ok(model.asked)).unwrap();
    assert_eq!(thread.health(), Health::Loading);
    open.send(()).unwrap();
    assert_eq!(answer.await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_says_why_to_everyone() {
    let thread =
        ModelThread::<Scripted>::spawn("broken", 2, || Err(ModelError::Tokenizer("no vocabulary".to_owned()))).unwrap();
    let expected = "the tokenizer failed: no vocabulary";
    for _ in 0..2 {
        let refused = thread.ask(|model, _| Ok(model.asked)).await;
        assert!(matches!(&refused, Err(ModelError::Failed { why }) if why == expected), "{refused:?}");
    }
    assert!(matches!(thread.ready().await, Err(ModelError::Failed { why }) if why == expected));
    assert_eq!(thread.health(), Health::Failed { why: expected.to_owned() });
}

#[tokio::test]
async fn a_panic_fails_the_model_for_good() {
    let thread = spawn(2);
    let panicked = thread.ask(|_, _| -> Result<(), ModelError> { panic!("index 4 of 3") }).await;
    assert!(matches!(&panicked, Err(ModelError::Failed { why }) if why == "panicked: index 4 of 3"), "{panicked:?}");
    assert_eq!(thread.health(), Health::Failed { why: "panicked: index 4 of 3".to_owned() });
    let later = thread.ask(|model, _| Ok(model.asked)).await;
    assert!(matches!(&later, Err(ModelError::Failed { why }) if why == "panicked: index 4 of 3"), "{later:?}");
}

#[tokio::test]
async fn a_panic_while_loading_is_a_failure() {
    let thread = ModelThread::<Scripted>::spawn("broken", 2, || panic!("no memory")).unwrap();
    assert!(matches!(thread.ready().await, Err(ModelError::Failed { why }) if why == "panicked: no memory"));
}

#[tokio::test]
async fn an_error_of_the_work_does_not_hurt_the_model() {
    let thread = spawn(2);
    let failed = thread.ask(|_, _| -> Result<(), _> { Err(ModelError::Tokenizer("odd".to_owned())) }).await;
    assert!(matches!(failed, Err(ModelError::Tokenizer(_))));
    assert_eq!(thread.health(), Health::Ready);
    assert_eq!(thread.ask(|model, _| Ok(model.asked)).await.unwrap(), 0);
}

#[tokio::test]
async fn work_that_nobody_waits_for_never_begins() {
    let thread = spawn(4);
    let (gate, work) = gated();
    let first = thread.submit(work).unwrap();
    gate.began.recv().unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    drop(thread.submit(move |_, _| Ok(count.fetch_add(1, Ordering::Relaxed))).unwrap());
    gate.open.send(()).unwrap();
    first.await.unwrap().unwrap();
    // answered after the dropped one was passed over
    thread.ask(|_, _| Ok(())).await.unwrap();
    assert_eq!(begun.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn work_in_hand_hears_that_its_caller_has_gone() {
    let thread = spawn(4);
    let (gate, work) = gated();
    let answer = thread.submit(work).unwrap();
    gate.began.recv().unwrap();
    drop(answer);
    // the gate stays shut: only the caller's going ends the work
    assert_eq!(thread.ask(|model, _| Ok(model.asked)).await.unwrap(), 1);
}

#[tokio::test]
async fn stopping_ends_the_work_and_refuses_what_waits() {
    let thread = spawn(4);
    let (gate, work) = gated();
    let in_hand = thread.submit(work).unwrap();
    gate.began.recv().unwrap();
    let waiting = thread.submit(|model, _| Ok(model.asked)).unwrap();
    thread.stop().await;
    assert_eq!(thread.health(), Health::Stopped);
    assert!(matches!(in_hand.await.unwrap(), Err(ModelError::Stopped)));
    assert!(matches!(waiting.await.unwrap(), Err(ModelError::Stopped)));
    let later = thread.ask(|model, _| Ok(model.asked)).await;
    assert!(matches!(later, Err(ModelError::Stopped)), "{later:?}");
}

#[tokio::test]
async fn the_thread_ends_with_its_last_handle() {
    let (ended, end) = oneshot::channel::<()>();
    // dropped with the model
    let thread = ModelThread::spawn("held", 2, move || Ok(ended)).unwrap();
    let other = thread.clone();
    drop(thread);
    other.ask(|_, _| Ok(())).await.unwrap();
    drop(other);
    assert!(end.await.is_err());
}
