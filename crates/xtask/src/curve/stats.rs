//! What a count of successes is worth.

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_985;

/// Returns the 95 % Wilson score interval of a proportion (Wilson, 1927).
#[expect(clippy::cast_precision_loss, reason = "counts of tasks are small")]
pub fn wilson(successes: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (n as f64, successes as f64 / n as f64);
    let middle = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0))
}

/// Returns the two-sided p value of the exact sign test: how likely pairs that differ would be split as unevenly as
/// this if either side were as likely to win.
#[expect(clippy::cast_precision_loss, reason = "counts of tasks are small")]
pub fn sign_test(wins: usize, losses: usize) -> f64 {
    let n = wins + losses;
    let mut term = 0.5_f64.powf(n as f64);
    let mut tail = 0.0;
    for k in 0..=wins.min(losses) {
        tail += term;
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-4
    }

    #[test]
    fn intervals_are_those_of_the_literature() {
        // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (k, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let (l, h) = wilson(k, n);
            assert!(near(l, low) && near(h, high), "{k} of {n}: {l} {h}");
        }
    }

    #[test]
    fn the_sign_test_is_the_binomial_tail() {
        assert!(near(sign_test(6, 0), 0.03125));
        assert!(near(sign_test(1, 9), 0.021_48));
        assert!(near(sign_test(5, 5), 1.0));
        assert!(near(sign_test(0, 0), 1.0));
    }
}
