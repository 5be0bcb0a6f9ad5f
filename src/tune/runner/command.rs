//! The command that starts an agent: words as a POSIX shell splits them, without a shell.

/// Stands for the task's text.
const TASK: &str = "{task}";
/// Stands for the task's name.
const ID: &str = "{id}";

/// Why a text is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A quote is not closed, or the text ends with a backslash.
    #[error("the command cannot be split into words: a quote is not closed")]
    Unclosed,
    /// There is no program.
    #[error("the command names no program")]
    Empty,
    /// It holds a character that no argument can hold.
    #[error("the command holds a zero byte")]
    Zero,
}

/// A command whose words may hold `{task}` and `{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    program: String,
    arguments: Vec<String>,
}

impl Template {
    /// Splits a text into words. No shell reads it: `$X`, `*`, `|` and `;` mean themselves, unless the command is `sh -c '…'`.
    ///
    /// # Errors
    ///
    /// [`TemplateError`]
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.contains('\0') {
            return Err(TemplateError::Zero);
        }
        let mut words = shlex::split(text).ok_or(TemplateError::Unclosed)?.into_iter();
        let program = words.next().filter(|word| !word.trim().is_empty()).ok_or(TemplateError::Empty)?;
        Ok(Self { program, arguments: words.collect() })
    }

    /// Returns the program.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Returns the arguments for a task. What is put in is never split, and not looked through for other places.
    #[must_use]
    pub fn arguments(&self, task: &str, id: &str) -> Vec<String> {
        self.arguments.iter().map(|word| filled(word, task, id)).collect()
    }
}

fn filled(word: &str, task: &str, id: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (value, place) = if from.starts_with(TASK) {
            (task, TASK)
        } else if from.starts_with(ID) {
            (id, ID)
        } else {
            ("{", "{")
        };
        out.push_str(value);
        rest = from.strip_prefix(place).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_task_is_one_argument_whatever_it_holds() {
        let template = Template::parse(r#"agent --task={task} '{id}' "a b" {task} {other} c\ d"#).unwrap();
        let task = "it's; rm -rf $HOME {id} \"now\"";
        let arguments = template.arguments(task, "t-1");
        let with_task = format!("--task={task}");
        assert_eq!(arguments, [with_task.as_str(), "t-1", "a b", task, "{other}", "c d"]);
        assert_eq!(template.program(), "agent");
    }

    #[test]
    fn what_is_no_command_is_said() {
        assert_eq!(Template::parse("agent 'x"), Err(TemplateError::Unclosed));
        assert_eq!(Template::parse("agent \\"), Err(TemplateError::Unclosed));
        assert_eq!(Template::parse(" \n"), Err(TemplateError::Empty));
        assert_eq!(Template::parse("''"), Err(TemplateError::Empty));
        assert_eq!(Template::parse("a\0b"), Err(TemplateError::Zero));
    }

    proptest! {
        #[test]
        fn filling_never_changes_the_number_of_words(text in "[a-z{} ]{1,40}", task in ".{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                let (one, other) = (template.arguments(&task, "t"), template.arguments("x", "t"));
                prop_assert_eq!(one.len(), other.len());
            }
        }
    }
}
