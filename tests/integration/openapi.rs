//! The committed `OpenAPI` document is the one that the routes make.

#[test]
fn the_committed_document_is_what_the_code_says() {
    let committed = include_str!("../../openapi.json");
    let made = recapd::http::openapi_text();
    assert!(committed == made, "openapi.json is out of date: run `cargo xtask generate`");
    assert!(made.contains("\"openapi\": \"3.1.0\""));
}
