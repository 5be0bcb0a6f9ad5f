//! Small playbooks for the tests beside the code.

use super::bullet::{Bullet, Credits, Origin};
use super::state::Playbook;

pub fn bullet(id: &str, content: &str) -> Bullet {
    Bullet {
        id: id.parse().unwrap(),
        section: "Rules".into(),
        content: content.into(),
        origin: Origin::Agent,
        credits: Credits::default(),
        evidence: Vec::new(),
        created_ms: 0,
        updated_ms: 0,
    }
}

/// A playbook of one section whose bullets are `a-1`, `a-2`, ….
pub fn playbook(contents: &[&str]) -> Playbook {
    let bullets: Vec<Bullet> =
        contents.iter().enumerate().map(|(at, content)| bullet(&format!("a-{}", at + 1), content)).collect();
    Playbook { sections: vec!["Rules".into()], bullets, ..Playbook::default() }
}
