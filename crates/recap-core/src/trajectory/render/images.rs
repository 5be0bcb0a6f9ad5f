//! Pictures from one provider's form to another's.

use crate::trajectory::fields::{Fields, ObjectText};
use crate::trajectory::message::Image;

/// Returns a picture's URL (or `data:` URL) and detail; `None` for one that only its provider can read.
pub(super) fn url_and_detail(image: &Image) -> Option<(String, Option<String>)> {
    let fields = Fields::parse(&image.json)?;
    if let Some(source) = fields.get("image_url").and_then(Fields::parse) {
        return Some((source.string("url")?, source.string("detail")));
    }
    let source = fields.get("source").and_then(Fields::parse)?;
    match source.string("type")?.as_str() {
        "url" => Some((source.string("url")?, None)),
        "base64" => {
            let (kind, data) = (source.string("media_type")?, source.string("data")?);
            Some((format!("data:{kind};base64,{data}"), None))
        }
        _ => None,
    }
}

/// Returns a picture as OpenAI's content part.
pub(super) fn openai_part(image: &Image) -> Option<String> {
    let (url, detail) = url_and_detail(image)?;
    let mut inner = ObjectText::default();
    inner.text("url", &url);
    if let Some(detail) = detail {
        inner.text("detail", &detail);
    }
    Some(ObjectText::default().text("type", "image_url").raw("image_url", &inner.finish()).finish())
}

/// Returns a picture as a part of a Responses message.
pub(super) fn responses_part(image: &Image) -> Option<String> {
    let (url, detail) = url_and_detail(image)?;
    let mut part = ObjectText::default();
    part.text("type", "input_image").text("image_url", &url);
    Some(part.text("detail", detail.as_deref().unwrap_or("auto")).finish())
}

/// Returns a picture as Anthropic's content block.
pub(super) fn anthropic_block(image: &Image) -> Option<String> {
    let fields = Fields::parse(&image.json)?;
    if fields.get("source").is_some() {
        return Some(image.json.to_string());
    }
    let (url, _) = url_and_detail(image)?;
    let mut source = ObjectText::default();
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((kind, data)) => source.text("type", "base64").text("media_type", kind).text("data", data),
        None if url.starts_with("http") => source.text("type", "url").text("url", &url),
        None => return None,
    };
    Some(ObjectText::default().text("type", "image").raw("source", &source.finish()).finish())
}

/// Returns the `type` of a content part.
pub(super) fn part_type(json: &str) -> String {
    Fields::parse(json).and_then(|fields| fields.string("type")).unwrap_or_else(|| "unknown".to_owned())
}
