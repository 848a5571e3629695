//! `PoolFileCatalog.xml`: where a pilot that reads directly says which URL an
//! input has.
//!
//! Owns the few tags that matter. The generic pilot never writes the file.

use std::collections::BTreeMap;
use std::path::Path;

use super::fail::{Failure, Number};

/// Largest catalogue that is read; one entry has about 300 bytes.
const MAX_CATALOGUE_BYTES: u64 = 64 << 20;

/// LFN to URL. An absent file is an empty catalogue.
pub(crate) fn read(dir: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let path = dir.join("PoolFileCatalog.xml");
    let Ok(meta) = std::fs::metadata(&path) else {
        return Ok(BTreeMap::new());
    };
    if meta.len() > MAX_CATALOGUE_BYTES {
        return Err(Failure::new(Number::Catalogue, format!("PoolFileCatalog.xml is larger than {MAX_CATALOGUE_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::new(Number::Catalogue, format!("PoolFileCatalog.xml cannot be read: {error}")))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for block in text.split("<File ").skip(1) {
        let block = block.split("</File>").next().unwrap_or_default();
        let url = attribute(block, "<pfn ");
        for lfn in block.split("<lfn ").skip(1) {
            if let (Some(lfn), Some(url)) = (name_of(lfn), &url) {
                found.insert(lfn, url.clone());
            }
        }
    }
    found
}

fn attribute(block: &str, tag: &str) -> Option<String> {
    block.split(tag).nth(1).and_then(name_of)
}

/// The value of `name="..."` before the tag closes.
fn name_of(tag: &str) -> Option<String> {
    let at = tag.find("name=")? + "name=".len();
    let quote = tag[at..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let value = tag[at + 1..].split(quote).next()?;
    Some(value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_by_lfn() {
        let text = r#"<POOLFILECATALOG>
  <File ID="1"><physical><pfn filetype="ROOT_All" name="root://a//b?x=1&amp;y"/></physical>
   <logical><lfn name="f1"/></logical></File>
  <File ID="2"><physical><pfn name='f2'/></physical><logical><lfn name='f2'/></logical></File>
</POOLFILECATALOG>"#;
        let catalogue = parse(text);
        assert_eq!(catalogue.get("f1").map(String::as_str), Some("root://a//b?x=1&y"));
        assert_eq!(catalogue.get("f2").map(String::as_str), Some("f2"));
        assert!(parse("no xml").is_empty());
    }
}
