//! SHA-256 of files, the checksum that hubs and package indices publish.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::ModelsError;

const BLOCK: usize = 1 << 20;

/// Returns a file's SHA-256 in lower-case hexadecimal digits.
///
/// # Errors
///
/// [`ModelsError::Io`]
pub fn sha256(path: &Path) -> Result<String, ModelsError> {
    let mut file = File::open(path).map_err(ModelsError::at(path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        let read = file.read(&mut block).map_err(ModelsError::at(path))?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(digits, "{byte:02x}");
        digits
    }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_the_published_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1
        assert_eq!(super::sha256(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
