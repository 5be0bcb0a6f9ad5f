//! What an endpoint was found not to take. Servers that speak the same protocol differ in a few fields; the
//! refusal names the field, and from then on it is sent otherwise, for as long as this process lives.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::JsonSchemaUse;

/// How a request is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// With `response_format`, so that the reply holds to a schema.
    pub is_constrained: bool,
    /// With `max_completion_tokens` in place of `max_tokens`.
    pub limits_completion: bool,
    /// With a temperature.
    pub has_temperature: bool,
}

/// What was found so far.
#[derive(Debug)]
pub struct Dialect {
    schemas: JsonSchemaUse,
    refuses_schemas: AtomicBool,
    refuses_max_tokens: AtomicBool,
    refuses_temperature: AtomicBool,
}

impl Dialect {
    /// Begins with what the protocol says.
    #[must_use]
    pub fn new(schemas: JsonSchemaUse) -> Self {
        Self {
            schemas,
            refuses_schemas: AtomicBool::new(schemas == JsonSchemaUse::Off),
            refuses_max_tokens: AtomicBool::new(false),
            refuses_temperature: AtomicBool::new(false),
        }
    }

    /// Returns how the next request is put, which may have a schema or not.
    #[must_use]
    pub fn form(&self, has_schema: bool) -> Form {
        Form {
            is_constrained: has_schema && !self.refuses_schemas.load(Ordering::Relaxed),
            limits_completion: self.refuses_max_tokens.load(Ordering::Relaxed),
            has_temperature: !self.refuses_temperature.load(Ordering::Relaxed),
        }
    }

    /// Takes in what an endpoint wrote when it rejected a request of a form. Returns whether the request can
    /// be put otherwise.
    pub fn learn(&self, form: Form, rejection: &str) -> bool {
        let words = rejection.to_lowercase();
        if form.is_constrained
            && self.schemas == JsonSchemaUse::Auto
            && (words.contains("response_format") || words.contains("json_schema"))
        {
            if !self.refuses_schemas.swap(true, Ordering::Relaxed) {
                metrics::counter!("recapd_llm_schema_fallbacks_total").increment(1);
                tracing::warn!("the endpoint takes no JSON schema: replies are plain text from now on");
            }
            return true;
        }
        // As OpenAI's reasoning models put it: "Unsupported parameter: 'max_tokens' is not supported with this
        // model. Use 'max_completion_tokens' instead."
        if !form.limits_completion && words.contains("max_completion_tokens") {
            self.refuses_max_tokens.store(true, Ordering::Relaxed);
            return true;
        }
        if form.has_temperature && words.contains("temperature") && words.contains("unsupported") {
            self.refuses_temperature.store(true, Ordering::Relaxed);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_given_up_only_where_that_is_automatic() {
        let rejection = "This response_format type is unavailable now";
        for (schemas, before, learned) in
            [(JsonSchemaUse::Auto, true, true), (JsonSchemaUse::On, true, false), (JsonSchemaUse::Off, false, false)]
        {
            let dialect = Dialect::new(schemas);
            let form = dialect.form(true);
            assert_eq!((form.is_constrained, dialect.learn(form, rejection)), (before, learned), "{schemas:?}");
            assert_eq!(dialect.form(true).is_constrained, before && !learned);
        }
    }

    #[test]
    fn calls_under_way_learn_the_same() {
        let dialect = Dialect::new(JsonSchemaUse::Auto);
        let form = dialect.form(true);
        assert!(dialect.learn(form, "unknown field json_schema"));
        assert!(dialect.learn(form, "unknown field json_schema"), "one sent before the first was refused");
        assert!(!dialect.learn(dialect.form(true), "unknown field json_schema"), "one sent after it");
    }

    #[test]
    fn fields_that_reasoning_models_refuse_are_put_otherwise() {
        let dialect = Dialect::new(JsonSchemaUse::Auto);
        let form = dialect.form(false);
        let max = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                   Use 'max_completion_tokens' instead.";
        assert!(dialect.learn(form, max));
        let temperature = "Unsupported value: 'temperature' does not support 0.2 with this model.";
        assert!(dialect.learn(form, temperature));
        let wanted = Form { is_constrained: false, limits_completion: true, has_temperature: false };
        assert_eq!(dialect.form(false), wanted);
        assert!(!dialect.learn(wanted, max) && !dialect.learn(wanted, temperature));
        assert!(!dialect.learn(form, "max_tokens is too large"));
    }
}
