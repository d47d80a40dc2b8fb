//! A median and its spread.

/// What repeated measurements say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

impl Figure {
    /// The figure of these values; none where there is no value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (lowest, highest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, lowest, highest })
    }

    /// How many times the others these values are, each compared with the one that was measured beside it: what slows
    /// the machine down for a while slows both.
    pub fn ratio(values: &[f64], others: &[f64]) -> Option<Self> {
        Self::of(values.iter().zip(others).map(|(value, other)| value / other))
    }

    /// The median, and from where to where the values go, where they are not all the same.
    pub fn show(&self, digits: usize) -> String {
        let number = |value| separate(value, digits);
        if self.lowest == self.highest {
            return number(self.median);
        }
        format!("{} ({} to {})", number(self.median), number(self.lowest), number(self.highest))
    }
}

/// A number with so many digits behind the point, and a comma before every three before it.
pub fn separate(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut separated = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle_or_between_two() {
        let figure = Figure::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!(figure, Figure { median: 2.0, lowest: 1.0, highest: 3.0 });
        assert_eq!(Figure::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Figure::of([]), None);
    }

    #[test]
    fn a_ratio_compares_what_was_measured_together() {
        let figure = Figure::ratio(&[10.0, 40.0, 9.0], &[2.0, 8.0, 3.0]).unwrap();
        assert_eq!(figure, Figure { median: 5.0, lowest: 3.0, highest: 5.0 });
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(separate(1_234_567.0, 0), "1,234,567");
        assert_eq!(separate(123.456, 1), "123.5");
        assert_eq!(Figure::of([1_000.0, 1_200.0]).unwrap().show(0), "1,100 (1,000 to 1,200)");
        assert_eq!(Figure::of([0.5]).unwrap().show(2), "0.50");
    }
}
