//! Ways in which a network may cut bytes into pieces.

/// Longest input that is cut in two at every byte; the work grows with the square.
const EVERY_CUT_BYTES_MAX: usize = 256;

/// Calls with many cuttings: byte by byte, uneven pieces, and in two, for short inputs at every byte.
pub fn each(bytes: &[u8], mut call: impl FnMut(&[&[u8]])) {
    call(&bytes.chunks(1).collect::<Vec<_>>());
    for seed in 1..4 {
        call(&uneven(bytes, seed));
    }
    if bytes.len() <= EVERY_CUT_BYTES_MAX {
        for at in 1..bytes.len() {
            let (first, rest) = bytes.split_at(at);
            call(&[first, rest]);
        }
    }
}

/// Pieces of 1 to 61 bytes, differently for every seed.
fn uneven(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed;
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // Constants of Knuth's MMIX generator; the high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = ((state >> 33) as usize % 61 + 1).min(rest.len());
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    pieces
}
