//! "Did you mean": the known word nearest to one that is not known.

/// The word of `known` that `word` was probably meant to be.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let wanted = plain(word);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &plain(candidate)), candidate))
        // A third of the word may be wrong; of short words only one letter.
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other: optimal string
/// alignment, three rows of its table at a time.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_do_not() {
        let known = [
            "podCIDR",
            "nodePrefix",
            "serviceCIDR",
            "clusterDomain",
            "backend",
        ];
        for (slip, word) in [
            ("pod_cidr", "podCIDR"),
            ("podCidrs", "podCIDR"),
            ("nodeperfix", "nodePrefix"),
            ("servicesCIDR", "serviceCIDR"),
            ("bakcend", "backend"),
        ] {
            assert_eq!(nearest(slip, known), Some(word), "{slip}");
        }
        for stranger in ["proxy", "x", "controlPlaneEndpoint"] {
            assert_eq!(nearest(stranger, known), None, "{stranger}");
        }
    }
}
