use super::*;

const CASES: [(&str, Kind); 30] = [
    ("auth\nbilling\nreports_old\nsearch/\nweb\nREADME\n", Kind::Listing),
    ("==== test session starts ====\nplatform linux\nERROR: file not found: x.py\n", Kind::TestOutput),
    (
        "def load(path):\n    \"\"\"Load a table.\n\n    The path may be a file or a folder of files.\n    \"\"\"\n    return read(path)\n",
        Kind::Code,
    ),
    ("", Kind::Prose),
    ("The booking was made on Friday. It cannot be changed.", Kind::Prose),
    ("{\"a\": 1}", Kind::Json),
    ("<returncode>0</returncode>\n<output>\n{\"a\": [1, 2]}\n</output>", Kind::Json),
    ("Result:\n[{\"id\": 1}, {\"id\": 2}]", Kind::Json),
    ("{'name': 'x', 'items': [1, 2]}", Kind::Json),
    ("{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n", Kind::Jsonl),
    ("id,name,price\n1,lamp,20\n2,desk,90\n3,chair,45\n", Kind::Table),
    ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n", Kind::Table),
    ("NAME    READY   STATUS\nweb-1   1/1     Running\nweb-2   0/1     Pending\n", Kind::Table),
    ("2024-01-01 10:00:00 INFO start\n2024-01-01 10:00:01 ERROR no route\n", Kind::Log),
    ("[INFO] building\n[WARN] old lock file\n[ERROR] no target\n", Kind::Log),
    (
        "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed\n",
        Kind::TestOutput,
    ),
    (
        "===== test session starts =====\ntests/test_a.py ..F [100%]\n===== 1 failed, 2 passed in 0.1s =====\n",
        Kind::TestOutput,
    ),
    (
        "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\nValueError: no such key\n",
        Kind::StackTrace,
    ),
    ("Error: boom\n    at run (/app/x.js:1:2)\n    at main (/app/y.js:3:4)\n", Kind::StackTrace),
    ("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n", Kind::Diff),
    ("     1\timport os\n     2\t\n     3\tdef f(x):\n     4\t    return x\n", Kind::Code),
    ("<output>\n  10  fn main() {\n  11      run();\n  12  }\n</output>", Kind::Code),
    ("12:def f(x):\n13:    return x\n14:\n15:def g():\n", Kind::Code),
    ("12:def f(x):\n90:def g():\n200:class A:\n", Kind::Grep),
    ("src/a.rs:10:fn main() {\nsrc/b.rs:22:    main();\n", Kind::Grep),
    ("import os\n\ndef f(x):\n    y = x + 1\n    return y\n", Kind::Code),
    ("total 8\ndrwxr-xr-x 2 u u 4096 Jan  1 10:00 .\n-rw-r--r-- 1 u u 12 Jan  1 10:00 a.txt\n", Kind::Listing),
    ("./src/a.rs\n./src/b.rs\n./README.md\n", Kind::Listing),
    ("<!DOCTYPE html>\n<html><body><p>Hi</p></body></html>", Kind::Html),
    ("# Title\n\nSome words.\n\n- one\n- two\n", Kind::Markdown),
];

#[test]
fn tells_each_kind() {
    let wrong: Vec<_> = CASES
        .iter()
        .filter(|(text, kind)| classify(text) != *kind)
        .map(|(text, kind)| (text, kind, classify(text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

proptest::proptest! {
    #[test]
    fn any_text_has_one_kind(text in "\\PC*|[\\x00-\\x7f]{0,400}|([{}\\[\\],:\"'<>/a1é\n]){0,300}") {
        proptest::prop_assert_eq!(classify(&text), classify(&text));
        proptest::prop_assert!(text.get(unwrap(&text)).is_some());
    }
}
