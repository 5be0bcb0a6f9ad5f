//! What a bullet is worth, by how it served.

use super::bullet::Bullet;

/// Quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;
/// What an event weighs that was concluded from a run's outcome: the run may have gone well or badly for other reasons.
const INFERRED_WEIGHT: f64 = 0.25;
/// Events of either kind that a new bullet is taken to have.
const PRIOR: f64 = 1.0;

/// Returns the bounds of the share of `helpful` among `of` events at 95 % (Wilson 1927, score interval). Nothing is known
/// of no events: 0 to 1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn wilson(helpful: u64, of: u64) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, z2) = (of as f64, Z * Z);
    let share = helpful.min(of) as f64 / n;
    let centre = share + z2 / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// Returns a bullet's worth from 0 to 1: the faded share of events in which it helped, 0.5 for a new one and again for one
/// whose events have faded. What somebody said weighs 1, what was inferred a quarter; a neutral event counts half on
/// either side.
#[must_use]
pub fn worth(bullet: &Bullet, now_ms: i64) -> f64 {
    let credits = &bullet.credits;
    let helpful = credits.helpful.faded(now_ms) + INFERRED_WEIGHT * credits.inferred_helpful.faded(now_ms);
    let harmful = credits.harmful.faded(now_ms) + INFERRED_WEIGHT * credits.inferred_harmful.faded(now_ms);
    let neutral = credits.neutral.faded(now_ms) + INFERRED_WEIGHT * credits.inferred_neutral.faded(now_ms);
    (helpful + neutral / 2.0 + PRIOR) / (helpful + harmful + neutral + 2.0 * PRIOR)
}

#[cfg(test)]
mod tests {
    use super::super::bullet::Credit;
    use super::super::testing::bullet;
    use super::*;

    const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-4
    }

    #[test]
    fn wilson_is_the_published_interval() {
        // Newcombe 1998, table I, method 3
        let (low, high) = wilson(81, 263);
        assert!(close(low, 0.2553) && close(high, 0.3662), "{low} {high}");
        let (low, high) = wilson(15, 148);
        assert!(close(low, 0.0624) && close(high, 0.1605), "{low} {high}");
        let (low, high) = wilson(0, 20);
        assert!(low.abs() < 1e-9 && close(high, 0.1611), "{low} {high}");
        assert!(close(wilson(1, 29).1, 0.1718));
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        let (low, high) = wilson(5, 5);
        assert!(low > 0.5 && (high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_new_bullet_stands_in_the_middle() {
        assert!(close(worth(&bullet("a-1", "x"), 0), 0.5));
    }

    #[test]
    fn what_was_said_weighs_more_than_what_was_inferred() {
        let of = |credit, inferred| {
            let mut bullet = bullet("a-1", "x");
            bullet.credits.of(credit, inferred).add(4, 0);
            worth(&bullet, 0)
        };
        assert!(of(Credit::Helpful, false) > of(Credit::Helpful, true));
        assert!(of(Credit::Helpful, true) > 0.5);
        assert!(of(Credit::Harmful, false) < of(Credit::Harmful, true));
        assert!(of(Credit::Harmful, true) < 0.5);
        assert!(close(of(Credit::Neutral, false), 0.5));
    }

    #[test]
    fn worth_fades_towards_the_middle() {
        let mut bullet = bullet("a-1", "x");
        bullet.credits.helpful.add(8, 0);
        let (now, later, much_later) = (worth(&bullet, 0), worth(&bullet, YEAR_MS), worth(&bullet, 20 * YEAR_MS));
        assert!(now > later && later > much_later && close(much_later, 0.5), "{now} {later} {much_later}");
    }
}
