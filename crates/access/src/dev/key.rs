//! Owns: the signing key and its file. Must not know: tokens.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};

use super::IssuerError;

/// The key file in the data folder: PKCS#8 (DER).
const FILE_NAME: &str = "development-issuer.p8";
/// Largest key file that is read; a P-256 key has 138 bytes.
const MAX_KEY_BYTES: u64 = 1024;
/// Bits that must not be set in the file's mode: group and others.
const FOREIGN_BITS: u32 = 0o077;

pub(super) struct Key {
    pair: EcdsaKeyPair,
    id: String,
    random: SystemRandom,
}

impl Key {
    pub(super) fn open(folder: &Path) -> Result<Self, IssuerError> {
        let path = folder.join(FILE_NAME);
        let random = SystemRandom::new();
        if !path.try_exists().map_err(|source| file_error("read", &path, source))? {
            create(folder, &path, &random)?;
        }
        let bytes = read(&path)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes, &random).map_err(|_| IssuerError::Damaged(path))?;
        let id = B64.encode(&digest(&SHA256, pair.public_key().as_ref()).as_ref()[..16]);
        Ok(Self { pair, id, random })
    }

    /// Key id: a hash of the public key, so a new key has a new id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The public point as base64url (x, y).
    pub(super) fn coordinates(&self) -> (String, String) {
        // an uncompressed point: 0x04, then x and y of 32 bytes each
        let point = &self.pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        (B64.encode(x), B64.encode(y))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IssuerError> {
        let signature = self.pair.sign(&self.random, message).map_err(|_| IssuerError::Crypto("sign a token"))?;
        Ok(signature.as_ref().to_vec())
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref()).verify(message, signature).is_ok()
    }
}

fn file_error(action: &'static str, path: &Path, source: std::io::Error) -> IssuerError {
    IssuerError::File { action, path: path.to_owned(), source }
}

/// Writes a new key beside and links it into place: never half a key, and the first of two processes wins.
fn create(folder: &Path, path: &Path, random: &SystemRandom) -> Result<(), IssuerError> {
    let fail = |source| file_error("create", path, source);
    fs::create_dir_all(folder).map_err(fail)?;
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random).map_err(|_| IssuerError::Crypto("make a key"))?;
    let mut tail = [0_u8; 8];
    ring::rand::SecureRandom::fill(random, &mut tail).map_err(|_| IssuerError::Crypto("make a key"))?;
    let draft = folder.join(format!(".{FILE_NAME}.{}", B64.encode(tail)));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(document.as_ref())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }?;
        File::open(folder)?.sync_all()
    })();
    let _ = fs::remove_file(&draft);
    written.map_err(fail)
}

fn read(path: &Path) -> Result<Vec<u8>, IssuerError> {
    let fail = |source| file_error("read", path, source);
    let file = File::open(path).map_err(fail)?;
    if file.metadata().map_err(fail)?.permissions().mode() & FOREIGN_BITS != 0 {
        return Err(IssuerError::Exposed(path.to_owned()));
    }
    let mut bytes = Vec::new();
    // bounded by `take`
    #[allow(clippy::disallowed_methods)]
    file.take(MAX_KEY_BYTES).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}
