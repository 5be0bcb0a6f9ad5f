//! Tokens of pictures by the providers' published rules.

/// How closely OpenAI's models look at a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// A flat price.
    Low,
    /// By tiles; also taken for `auto`, which never costs more.
    High,
}

/// Tokens of a picture at low detail, and the base at high detail.
const OPENAI_BASE: u32 = 85;
/// Tokens of each tile of 512 × 512 pixels.
const OPENAI_TILE: u32 = 170;

/// Returns the tokens of a picture of `(width, height)` pixels by OpenAI's rule for GPT-4o and GPT-4.1: at
/// high detail scaled into 2048 × 2048, then to a shorter side of 768, 170 for each tile of 512, 85 once.
/// `None` if the rule needs a size that is not known.
#[must_use]
pub fn openai_image_tokens(size: Option<(u32, u32)>, detail: Detail) -> Option<u32> {
    if detail == Detail::Low {
        return Some(OPENAI_BASE);
    }
    let (width, height) = size.map(|(width, height)| (u64::from(width.max(1)), u64::from(height.max(1))))?;
    let (width, height) = shrink(width, height, width.max(height), 2048);
    let (width, height) = shrink(width, height, width.min(height), 768);
    let tiles = u32::try_from(width.div_ceil(512) * height.div_ceil(512)).ok()?;
    Some(OPENAI_BASE + OPENAI_TILE * tiles)
}

/// Scales both sides by `limit / side` if `side` is over the limit, rounding up.
fn shrink(width: u64, height: u64, side: u64, limit: u64) -> (u64, u64) {
    if side <= limit {
        return (width, height);
    }
    ((width * limit).div_ceil(side), (height * limit).div_ceil(side))
}

/// Returns the tokens of a picture of `(width, height)` pixels by Anthropic's rule: width × height / 750,
/// after scaling into 1568 × 1568. `None` if the size is not known.
#[must_use]
pub fn anthropic_image_tokens(size: Option<(u32, u32)>) -> Option<u32> {
    let (width, height) = size.map(|(width, height)| (u64::from(width), u64::from(height)))?;
    let (width, height) = shrink(width, height, width.max(height), 1568);
    u32::try_from((width * height).div_ceil(750)).ok()
}

/// Returns `(width, height)` in pixels from the first bytes of a PNG, GIF, JPEG or WebP file.
#[must_use]
pub fn image_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((be32(bytes, 16)?, be32(bytes, 20)?));
    }
    if bytes.starts_with(b"GIF8") {
        return Some((le16(bytes, 6)?, le16(bytes, 8)?));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return webp_size(bytes);
    }
    if bytes.starts_with(&[0xff, 0xd8]) { jpeg_size(bytes) } else { None }
}

fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => Some((le16(bytes, 26)? & 0x3fff, le16(bytes, 28)? & 0x3fff)),
        b"VP8L" => {
            let bits = le32(bytes, 21)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => Some(((le32(bytes, 24)? & 0x00ff_ffff) + 1, (le32(bytes, 26)? >> 8) + 1)),
        _ => None,
    }
}

/// Walks the segments up to the first frame header.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2_usize;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            0xd9 | 0xda => return None,
            _ => at += 2 + usize::try_from(be16(bytes, at + 2)?.max(2)).ok()?,
        }
    }
}

/// Decodes at most `max` bytes of standard base64; ends at the first character that is none.
#[must_use]
pub fn decode_base64(text: &str, max: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(max.min(text.len() / 4 * 3 + 3));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => continue,
            _ => break,
        };
        bits = (bits << 6 | u32::from(value)) & 0x00ff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).unwrap_or(0));
        }
        if out.len() >= max {
            break;
        }
    }
    out
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u16::from_be_bytes).map(u32::from)
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u16::from_le_bytes).map(u32::from)
}
