//! Tasks of a made-up office: one form each, with one field under a house rule that nobody can know beforehand.
//!
//! A form family has one rule; its tasks differ in names and numbers, so that a remembered task helps with no other, a
//! remembered rule with all. Code checks every field.

use serde_json::{Map, Value, json};

/// What every task is told first. It does not say the rules.
pub const SYSTEM: &str = "You are the clerk of Halden Trading. Each task is to fill in one form. Reply with the form as one \
                          JSON object; all values are strings. Where lessons from earlier runs name the form, fill it in as they say.";

/// A form and its rule.
pub struct Family {
    /// What the form is called: the reply's `action`.
    pub form: &'static str,
    /// The field under the rule.
    pub field: &'static str,
    /// What the field must be, with an example that no task uses.
    rule: &'static str,
    /// Fields that are copied from the task.
    copied: &'static [&'static str],
    make: fn(&mut Draw) -> Drawn,
}

/// What a family makes of a draw.
struct Drawn {
    words: String,
    copied: Vec<String>,
    right: String,
}

/// One task.
pub struct Task {
    pub family: &'static Family,
    /// What the agent is told.
    pub words: String,
    expected: Vec<(&'static str, String)>,
}

const FIRST_NAMES: [&str; 12] =
    ["Mira", "Carl", "Ines", "Tobias", "Lena", "Oscar", "Nadia", "Hugo", "Clara", "Emil", "Rosa", "Viktor"];
const SURNAMES: [&str; 12] =
    ["Voss", "Brandt", "Falk", "Lindner", "Moreau", "Petrov", "Salas", "Keller", "Nilsson", "Okafor", "Duarte", "Hale"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const REGIONS: [&str; 4] = ["north", "south", "east", "west"];

/// The forms of the office.
pub static FAMILIES: [Family; 6] = [
    Family {
        form: "refund",
        field: "amount",
        rule: "must be in whole cents, without a point: 120.75 is written 12075",
        copied: &["order", "customer"],
        make: refund,
    },
    Family { form: "visit", field: "date", rule: "must be written DD.MM.YYYY", copied: &["visitor"], make: visit },
    Family {
        form: "label",
        field: "code",
        rule: "must be the parcel's number with -HX at the end",
        copied: &["parcel"],
        make: label,
    },
    Family {
        form: "invoice",
        field: "recipient",
        rule: "must always be billing@halden.example, whoever the customer is",
        copied: &["number"],
        make: invoice,
    },
    Family {
        form: "badge",
        field: "holder",
        rule: "must be the surname, then a comma, then the first name",
        copied: &["floor"],
        make: badge,
    },
    Family {
        form: "ticket",
        field: "queue",
        rule: "must be the desk's number with Q in front",
        copied: &["desk"],
        make: ticket,
    },
];

impl Family {
    /// Returns the rule as a lesson.
    pub fn lesson(&self) -> String {
        format!("In the form {}, the field {} {}.", self.form, self.field, self.rule)
    }

    /// Draws a task.
    pub fn task(&'static self, draw: &mut Draw) -> Task {
        let drawn = (self.make)(draw);
        let mut expected: Vec<_> = self.copied.iter().copied().zip(drawn.copied).collect();
        expected.push((self.field, drawn.right));
        let fields = expected.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let words = format!("{} The form is {}, its fields are {fields}.", drawn.words, self.form);
        Task { family: self, words, expected }
    }
}

impl Task {
    /// Returns the JSON schema of a reply.
    pub fn schema(&self) -> Value {
        let mut properties = Map::new();
        properties.insert("action".into(), json!({ "const": self.family.form }));
        for (name, _) in &self.expected {
            properties.insert((*name).into(), json!({ "type": "string", "maxLength": 60 }));
        }
        let required: Vec<&String> = properties.keys().collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    }

    /// Returns what is wrong with a reply in the words of the office's system, `None` when nothing is.
    pub fn complaint(&self, reply: &str) -> Option<String> {
        let form = self.family.form;
        let Ok(Value::Object(fields)) = serde_json::from_str(reply) else {
            return Some(format!("error: form {form} refused: the reply is not one JSON object"));
        };
        let wrong = self.expected.iter().find_map(|(name, right)| {
            let got = fields.get(*name).and_then(Value::as_str).unwrap_or_default().trim();
            (got != right).then_some((*name, right, got))
        })?;
        let (name, right, got) = wrong;
        let rule = if name == self.family.field { self.family.rule.to_owned() } else { format!("must be {right}") };
        Some(format!("error: form {form} refused: field {name} {rule}; got \"{got}\""))
    }
}

/// Draws numbers and names; equal seeds draw the same.
pub struct Draw(u64);

impl Draw {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The next number of the splitmix64 generator (Steele et al., 2014), below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn number(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(words.len() as u64)).unwrap_or(0);
        words.get(at).copied().unwrap_or_default()
    }

    fn name(&mut self) -> (&'static str, &'static str) {
        (self.of(&FIRST_NAMES), self.of(&SURNAMES))
    }
}

fn refund(draw: &mut Draw) -> Drawn {
    let (first, last) = draw.name();
    let (order, whole, cents) = (draw.number(2001, 10_000), draw.number(5, 100), draw.number(11, 100));
    Drawn {
        words: format!("File a refund of {whole}.{cents} for order {order}, customer {first} {last}."),
        copied: vec![order.to_string(), format!("{first} {last}")],
        right: format!("{whole}{cents}"),
    }
}

fn visit(draw: &mut Draw) -> Drawn {
    let (first, last) = draw.name();
    let (day, month, year) = (draw.number(1, 29), draw.number(1, 13), draw.number(2027, 2036));
    let named = MONTHS.get(usize::try_from(month - 1).unwrap_or(0)).copied().unwrap_or_default();
    Drawn {
        words: format!("Announce the visit of {first} {last} on {day} {named} {year}."),
        copied: vec![format!("{first} {last}")],
        right: format!("{day:02}.{month:02}.{year}"),
    }
}

fn label(draw: &mut Draw) -> Drawn {
    let (parcel, region) = (draw.number(2001, 10_000), draw.of(&REGIONS));
    Drawn {
        words: format!("Print the label of parcel {parcel} to {region}."),
        copied: vec![parcel.to_string()],
        right: format!("{parcel}-HX"),
    }
}

fn invoice(draw: &mut Draw) -> Drawn {
    let (first, last) = draw.name();
    let number = draw.number(2001, 10_000);
    let mail = format!("{}@{}.example", first.to_lowercase(), last.to_lowercase());
    Drawn {
        words: format!("Send invoice {number} of the customer {first} {last} ({mail})."),
        copied: vec![number.to_string()],
        right: "billing@halden.example".into(),
    }
}

fn badge(draw: &mut Draw) -> Drawn {
    let (first, last) = draw.name();
    let floor = draw.number(1, 10);
    Drawn {
        words: format!("Order a badge for {first} {last}, who works on floor {floor}."),
        copied: vec![floor.to_string()],
        right: format!("{last}, {first}"),
    }
}

fn ticket(draw: &mut Draw) -> Drawn {
    let device = draw.of(&["printer", "scanner", "phone", "laptop", "router", "monitor"]);
    let desk = draw.number(2, 90);
    Drawn {
        words: format!("Open a ticket for desk {desk}: the {device} is broken."),
        copied: vec![desk.to_string()],
        right: format!("Q{desk}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(task: &Task, value: &str) -> String {
        let mut fields: Map<String, Value> =
            task.expected.iter().map(|(name, right)| ((*name).to_owned(), json!(right))).collect();
        fields.insert("action".into(), json!(task.family.form));
        fields.insert(task.family.field.into(), json!(value));
        Value::Object(fields).to_string()
    }

    #[test]
    fn who_knows_the_rule_passes_and_who_copies_from_the_task_is_told_it() {
        for family in &FAMILIES {
            for seed in 0..40 {
                let task = family.task(&mut Draw::new(seed));
                let (_, right) = task.expected.last().unwrap();
                assert_eq!(task.complaint(&reply(&task, right)), None, "{}", task.words);
                let words: Vec<&str> = task.words.split_whitespace().collect();
                for naive in (1..=3).flat_map(|n| words.windows(n)).map(|some| some.join(" ")) {
                    let naive = naive.trim_matches(['.', ',', '(', ')']);
                    let told = task.complaint(&reply(&task, naive)).unwrap();
                    assert!(told.contains(family.rule), "{told}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_copy_and_a_reply_that_is_no_form_are_refused() {
        let task = FAMILIES[0].task(&mut Draw::new(1));
        let other = reply(&task, "1").replace(&task.expected[0].1, "1");
        assert!(task.complaint(&other).unwrap().contains("field order must be"));
        assert!(task.complaint("[1]").unwrap().contains("not one JSON object"));
    }

    #[test]
    fn no_task_uses_the_example_of_its_rule() {
        for family in &FAMILIES {
            for seed in 0..400 {
                let task = family.task(&mut Draw::new(seed));
                let (_, right) = task.expected.last().unwrap();
                assert!(family.form == "invoice" || !family.rule.ends_with(&format!(" {right}")), "{right}");
            }
        }
    }
}
