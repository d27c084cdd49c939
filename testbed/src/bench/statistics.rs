//! What several measurements amount to.

/// The middle of the values, or the mean of the two in the middle; `None` of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// The least value that `percent` of a hundred values do not exceed (nearest rank): of 50 values, the 99th
/// percentile is the largest. `None` of nothing.
pub(super) fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_in_any_order() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[7.5]), Some(7.5));
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn nothing_has_no_median_and_no_percentile() {
        assert_eq!((median(&[]), percentile(&[], 50)), (None, None));
    }

    #[test]
    fn a_percentile_is_one_of_the_values_by_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let of_hundred = [1, 50, 99, 100].map(|percent| percentile(&hundred, percent));
        assert_eq!(of_hundred, [Some(1.0), Some(50.0), Some(99.0), Some(100.0)]);
        let fifty: Vec<f64> = (1..=50).map(f64::from).collect();
        let of_fifty = [0, 50, 98, 99].map(|percent| percentile(&fifty, percent));
        assert_eq!(of_fifty, [Some(1.0), Some(25.0), Some(49.0), Some(50.0)]);
    }
}
