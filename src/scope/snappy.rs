//! Snappy blocks under a cap on what they become.

/// Why a block is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It becomes more than the cap. Told by its head: nothing is decompressed.
    TooLarge,
    /// It is no block.
    Broken,
}

/// What `block` was, at most `max` bytes.
///
/// # Errors
/// [`Fault`].
pub fn decompress(block: &[u8], max: usize) -> Result<Vec<u8>, Fault> {
    let length = snap::raw::decompress_len(block).map_err(|_| Fault::Broken)?;
    if length > max {
        return Err(Fault::TooLarge);
    }
    snap::raw::Decoder::new().decompress_vec(block).map_err(|_| Fault::Broken)
}

/// `bytes` as a block; `None` if they are too many for one.
pub(super) fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    snap::raw::Encoder::new().compress_vec(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_small_block_that_grows_over_the_cap_is_refused() {
        let block = compress(&vec![b'a'; 100_000]).unwrap();
        assert!(block.len() < 10_000);
        assert_eq!(decompress(&block, 100_000).map(|b| b.len()), Ok(100_000));
        assert_eq!(decompress(&block, 99_999), Err(Fault::TooLarge));
        assert_eq!(decompress(&block[..block.len() - 1], 100_000), Err(Fault::Broken));
        for bytes in [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x05a"] {
            assert_eq!(decompress(bytes, 100_000), Err(Fault::Broken));
        }
    }
}
