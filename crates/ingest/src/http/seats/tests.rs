use tokio::time::advance;

use super::*;

impl Seats {
    fn take<const N: usize>(&self) -> [Seat; N] {
        std::array::from_fn(|_| self.free_seat().unwrap())
    }
}

/// Whether the connection is to give up the body that it receives.
async fn is_called_off(seat: &Seat) -> bool {
    timeout(Duration::ZERO, seat.called_off()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_without_a_request_gives_way_first_and_then_the_one_idle_longest() {
    let seats = Seats::new(3);
    let [silent, first, second] = seats.take();
    for used in [&second, &first] {
        used.receives();
        used.waits();
        advance(Duration::from_millis(1)).await;
    }
    assert!(seats.given_up_seat().await.is_none(), "all have just come");
    advance(NO_REQUEST).await;
    let next = tokio::spawn({
        let seats = seats.clone();
        async move { seats.given_up_seat().await }
    });
    std::future::poll_fn(|context| silent.poll_end(context)).await;
    assert!(silent.must_leave() && !first.must_leave() && !second.must_leave());
    drop(silent);
    let next = next.await.unwrap().unwrap();
    next.receives();
    assert!(!seats.one_gives_way());
    advance(IDLE - NO_REQUEST).await;
    assert!(seats.one_gives_way());
    assert!(
        second.must_leave() && !first.must_leave(),
        "it has waited longest"
    );
    assert!(seats.one_gives_way() && first.must_leave());
    advance(SLOW_BODY).await;
    assert!(seats.one_gives_way() && is_called_off(&next).await);
    assert!(!seats.one_gives_way(), "all are asked");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_gives_way_at_once_there_is_no_seat() {
    let seats = Seats::new(1);
    let [_deaf] = seats.take();
    advance(NO_REQUEST).await;
    let started = Instant::now();
    assert!(seats.given_up_seat().await.is_none());
    assert_eq!(started.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_body_gives_way_after_five_seconds_and_work_never() {
    let seats = Seats::new(2);
    let [slow, at_work] = seats.take();
    slow.receives();
    at_work.receives();
    at_work.works();
    advance(SLOW_BODY - Duration::from_millis(1)).await;
    assert!(!seats.one_gives_way());
    advance(Duration::from_millis(1)).await;
    assert!(seats.one_gives_way());
    assert_eq!(slow.called_off().await, SLOW_BODY);
    drop(slow);
    advance(HEAD_TIMEOUT).await;
    assert!(!seats.one_gives_way() && !at_work.must_leave());
    // A connection that has left is not asked.
    drop(at_work);
    let [next] = seats.take();
    next.receives();
    advance(SLOW_BODY).await;
    next.overloaded();
    assert!(is_called_off(&next).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_begins_as_its_seat_is_asked_for_keeps_its_body() {
    let seats = Seats::new(1);
    let [seat] = seats.take();
    advance(NO_REQUEST).await;
    assert!(seats.one_gives_way());
    seat.receives();
    assert!(!is_called_off(&seat).await);
    advance(SLOW_BODY).await;
    assert!(seats.one_gives_way());
    // That body was just complete, and another one begins.
    seat.receives();
    assert!(!is_called_off(&seat).await);
    advance(SLOW_BODY).await;
    assert!(is_called_off(&seat).await);
}

#[tokio::test(start_paused = true)]
async fn only_slow_bodies_are_asked_when_all_of_them_give_way() {
    let seats = Seats::new(4);
    let [receiving, quick, waiting, working] = seats.take();
    receiving.receives();
    working.works();
    advance(SLOW_BODY).await;
    quick.receives();
    seats.slow_bodies_give_way();
    assert!(is_called_off(&receiving).await);
    for other in [&quick, &waiting, &working] {
        assert!(!is_called_off(other).await && !other.must_leave());
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_ended_after_the_head_timeout() {
    let seats = Seats::new(4);
    let [new, idle, busy] = seats.take();
    idle.waits();
    busy.receives();
    let later = tokio::spawn({
        let seats = seats.clone();
        async move { seats.end_idle().await }
    });
    sleep(HEAD_TIMEOUT - LOOK_EVERY).await;
    assert!(!new.must_leave() && !idle.must_leave());
    let [back] = seats.take();
    sleep(2 * LOOK_EVERY).await;
    assert!(new.must_leave() && idle.must_leave());
    assert!(!busy.must_leave() && !back.must_leave());
    later.abort();
}

#[tokio::test(start_paused = true)]
async fn a_connection_asked_to_end_is_not_asked_to_leave_at_once() {
    let seats = Seats::new(1);
    let [seat] = seats.take();
    seat.receives();
    let ends = || timeout(Duration::ZERO, std::future::poll_fn(|cx| seat.poll_end(cx)));
    assert!(ends().await.is_err());
    seats.end_all();
    assert!(ends().await.is_ok());
    assert!(!seat.must_leave() && !is_called_off(&seat).await);
    drop(seat);
    // One that was at the door.
    let [late] = seats.take();
    std::future::poll_fn(|cx| late.poll_end(cx)).await;
}
