//! Sizes and parts of a whole as people read them, and as Kubernetes writes them.

const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// A number of bytes in the largest unit that it fills, with one digit after the point where needed.
pub fn human(bytes: u64) -> String {
    let Some((name, unit)) = UNITS.iter().find(|(_, unit)| bytes >= *unit) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10 + u128::from(*unit) / 2) / u128::from(*unit);
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        digit => format!("{}.{digit} {name}", tenths / 10),
    }
}

/// A part of a whole.
pub fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// Reads a quantity of Kubernetes, such as `10Gi` or `5G`; nothing, if it is none.
pub fn quantity(text: &str) -> Option<u64> {
    const SUFFIXES: [(&str, u64); 11] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("", 1),
    ];
    SUFFIXES.iter().find_map(|(suffix, unit)| {
        let number = text.strip_suffix(suffix)?;
        let whole = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(*unit));
        let real = || number.parse::<f64>().ok().filter(|n| *n >= 0.0);
        // Nobody asks for parts of a byte.
        whole.or_else(|| real().map(|n| (n * *unit as f64) as u64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_near() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(1 << 30), "1 GiB");
        assert_eq!(human(1_000_204_886_016), "931.5 GiB");
        assert_eq!(human((1 << 40) + (1 << 39)), "1.5 TiB");
        assert_eq!(human(u64::MAX), "16777216 TiB");
        assert_eq!(percent(0.826), "83 %");
    }

    #[test]
    fn quantities_are_read_and_words_are_not() {
        assert_eq!(quantity("10Gi"), Some(10 << 30));
        assert_eq!(quantity("1.5Gi"), Some(3 << 29));
        assert_eq!(quantity("5G"), Some(5_000_000_000));
        assert_eq!(quantity("4096"), Some(4096));
        assert_eq!(quantity("a lot"), None);
    }
}
