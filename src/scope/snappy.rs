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

/// Makes a block piece by piece. A block is its length and then what it is made of, and that is put together of what
/// each piece is made of: nothing in it points to before its piece (`format_description.txt` of snappy).
pub struct Blocks {
    /// What is not given out yet.
    head: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl Blocks {
    /// A block of `bytes` bytes in all; `None` if they are too many for one.
    pub fn of(bytes: usize) -> Option<Self> {
        let mut head = Vec::new();
        prost::encoding::encode_varint(u64::from(u32::try_from(bytes).ok()?), &mut head);
        Some(Self { head, encoder: snap::raw::Encoder::new() })
    }

    /// The next piece of it.
    pub fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut piece = std::mem::take(&mut self.head);
        // A piece that is too long for a block is part of none.
        let block = self.encoder.compress_vec(bytes).unwrap_or_default();
        let mut made = block.as_slice();
        if prost::encoding::decode_varint(&mut made).is_ok() {
            piece.extend_from_slice(made);
        }
        piece
    }
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
    #[test]
    fn a_block_is_made_piece_by_piece() {
        let text: Vec<u8> =
            (0..300_000_u32).map(|i| b'a' + u8::try_from(i / 7 * (i % 11) % 23).unwrap()).collect();
        for piece in [1_000, 65_536, 300_000] {
            let mut blocks = Blocks::of(text.len()).unwrap();
            let block: Vec<u8> = text.chunks(piece).flat_map(|piece| blocks.piece(piece)).collect();
            assert_eq!(decompress(&block, text.len()), Ok(text.clone()));
        }
        assert_eq!(decompress(&Blocks::of(0).unwrap().piece(b""), 0), Ok(Vec::new()));
        assert!(Blocks::of(usize::MAX).is_none());
    }
}
