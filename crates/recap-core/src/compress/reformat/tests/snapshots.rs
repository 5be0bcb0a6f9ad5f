//! The notations, as a model reads them.

use std::fmt::Write as _;

use super::super::{reformat, restore};

fn shown(text: &str) -> String {
    let done = reformat(text).expect("shrinks");
    restore(&done.text, &done.steps).expect("restores");
    format!("{:?} {} -> {} bytes\n{}", done.steps, text.len(), done.text.len(), done.text)
}

#[test]
fn an_api_reply_with_nested_records() {
    let text = r#"{"booking": {"id": "BK-20417", "hotel": {"name": "Lakeside Inn", "city": "Zürich", "stars": 4}, "guest": {"first_name": "Mara", "last_name": "Okafor", "email": "mara@example.org", "phone": "0041790000000"}, "rooms": [{"room": "204", "type": "double", "nights": 2, "price": {"amount": 188.50, "currency": "CHF"}, "extras": ["breakfast", "late checkout"]}, {"room": "205", "type": "single", "nights": 2, "price": {"amount": 121.00, "currency": "CHF"}, "extras": []}, {"room": "310", "type": "suite", "nights": 1, "price": {"amount": 402.00, "currency": "CHF"}, "extras": ["breakfast"]}], "rates": {"standard": {"refundable": true, "deposit": 0}, "saver": {"refundable": false, "deposit": 50}, "long_stay": {"refundable": false, "deposit": 100}}, "cancelled_at": null, "terms": "Cancel before 18:00.\nCity tax is \"not\" included.\n- 3.50 a night\n- children free\n- pets: ask\n- parking: 20\n- spa: 35\n- sauna: 15\n- safe: 0\n- bike: 12"}}"#;
    insta::assert_snapshot!(shown(text), @r#"
    [Json] 939 -> 589 bytes
    {booking{id:BK-20417 hotel{name:"Lakeside Inn" city:Zürich stars:4} guest{first_name:Mara last_name:Okafor email:mara@example.org
    phone:0041790000000} rooms[
    (room type nights price{amount currency:CHF} extras)
    "204" double 2 188.50 [breakfast "late checkout"]
    "205" single 2 121.00 []
    "310" suite 1 402.00 [breakfast]]
    rates{
    (refundable deposit)
    standard: true 0
    saver: false 50
    long_stay: false 100} cancelled_at:null terms:<<END
    Cancel before 18:00.
    City tax is "not" included.
    - 3.50 a night
    - children free
    - pets: ask
    - parking: 20
    - spa: 35
    - sauna: 15
    - safe: 0
    - bike: 12
    END
    }}
    "#);
}

#[test]
fn an_array_of_like_records() {
    let mut text = String::from("[");
    for n in 0..12 {
        let gap = if n == 0 { "" } else { ", " };
        write!(text, "{gap}{{\"train\": \"IC{}\", \"from\": \"BRN\", \"to\": \"ZRH\", \"departs\": \"{:02}:32\", \"seats\": {{\"first\": {}, \"second\": {}}}, \"fares\": {{\"first\": {}, \"second\": 51}}}}", 700 + 7 * n, 6 + n, 3 * n, 40 - n, 88 + n % 3).unwrap();
    }
    text.push(']');
    insta::assert_snapshot!(shown(&text), @r#"
    [Json] 1724 -> 400 bytes
    [
    (train from:BRN to:ZRH departs seats{first second} fares{first second:51})
    IC700 06:32 0 40 88
    IC707 07:32 3 39 89
    IC714 08:32 6 38 90
    IC721 09:32 9 37 88
    IC728 10:32 12 36 89
    IC735 11:32 15 35 90
    IC742 12:32 18 34 88
    IC749 13:32 21 33 89
    (train from:BRN to:ZRH departs seats{first second} fares{first second:51})
    IC756 14:32 24 32 90
    IC763 15:32 27 31 88
    IC770 16:32 30 30 89
    IC777 17:32 33 29 90]
    "#);
}

#[test]
fn json_lines() {
    let mut text = String::new();
    for n in 0..6 {
        let level = if n == 4 { "error" } else { "info" };
        writeln!(text, "{{\"ts\": \"2031-02-03T04:05:{n:02}Z\", \"level\": \"{level}\", \"msg\": \"request done\", \"status\": {}, \"ms\": {}}}", 200 + 100 * (n % 4), 12 * n + 1).unwrap();
    }
    insta::assert_snapshot!(shown(&text), @r#"
    [JsonLines] 576 -> 265 bytes
    [
    (ts level:info msg:"request done" status ms)
    2031-02-03T04:05:00Z 200 1
    2031-02-03T04:05:01Z 300 13
    2031-02-03T04:05:02Z 400 25
    2031-02-03T04:05:03Z 500 37
    (ts level msg:"request done" status ms)
    2031-02-03T04:05:04Z error 200 49
    2031-02-03T04:05:05Z info 300 61]
    "#);
}

#[test]
fn a_progress_log() {
    let text = "Collecting torchlight\n  Downloading torchlight-2.1.tar.gz (3.1 MB)\n\u{1b}[?25l     \u{1b}[90m━━━━\u{1b}[0m 0.4/3.1 MB 5.2 MB/s eta 0:00:01\r\u{1b}[2K     ━━━━━━━━ 1.9/3.1 MB 6.0 MB/s eta 0:00:01\r\u{1b}[2K     ━━━━━━━━━━━━ 3.1/3.1 MB 6.4 MB/s\n\u{1b}[?25h\u{1b}[32mSuccessfully installed torchlight-2.1\u{1b}[0m   \n";
    insta::assert_snapshot!(shown(text), @r#"
    [Ansi, Redraws, TrailingSpace] 320 -> 167 bytes
    Collecting torchlight
      Downloading torchlight-2.1.tar.gz (3.1 MB)
         ━━━━━━━━━━━━ 3.1/3.1 MB 6.4 MB/s
    Successfully installed torchlight-2.1
    "#);
}

#[test]
fn repeated_lines_and_cycles() {
    let text = format!(
        "start\n{}{}end\n",
        "WARN connection refused by 10.0.0.7:5432, retrying\n".repeat(40),
        "GET /health 200\nGET /ready 503\n".repeat(20)
    );
    insta::assert_snapshot!(shown(&text), @r#"
    [Folds] 2670 -> 164 bytes
    start
    WARN connection refused by 10.0.0.7:5432, retrying
    [above line repeats 39 more times]
    GET /health 200
    GET /ready 503
    [above 2 lines repeat 19 more times]
    end
    "#);
}
