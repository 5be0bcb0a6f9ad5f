//! The `OpenAPI` document, generated from the routes.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

/// Returns the document without paths.
pub fn base() -> OpenApi {
    let bearer = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Needed where keys are configured, and on every address that is not loopback."))
            .build(),
    );
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("recapd")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("The memory daemon for long-horizon agents: whole trajectories go in, a recap that fits the budget comes out."))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
                .build(),
        )
        .components(Some(ComponentsBuilder::new().security_scheme("key", bearer).build()))
        .build()
}

/// Returns the whole document.
#[must_use]
pub fn document() -> OpenApi {
    super::routes_and_document().into_openapi()
}

/// Returns the whole document as indented JSON with a line feed at its end.
#[must_use]
pub fn text() -> String {
    // The document is made of strings and maps: writing it cannot fail.
    document()
        .to_pretty_json()
        .map_or_else(|error| format!("{{\"error\": {:?}}}\n", error.to_string()), |text| text + "\n")
}
